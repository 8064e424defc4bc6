"""Audio in, encoded units out: the part of whep-avatar that runs in the worker process. No HTTP, no RTP."""
