"""OpenTelemetry spans of utterances, where an endpoint is configured."""
