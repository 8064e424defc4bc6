"""The server process: HTTP, signalling, WebRTC, playout and fan-out. Never imports torch, never touches pixels."""

__version__ = "0.1.0"
