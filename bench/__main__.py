"""``python -m bench NAME``, the same as ``whep-avatar bench NAME``."""

from bench.commands import app

app()
