"""Engines turn speech into mouth patches; one package an engine."""
