"""The standards, pure: SDP, fragments, negotiation, session states. Text and dataclasses in and out."""
