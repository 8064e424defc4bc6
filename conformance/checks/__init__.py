"""The checks, a module a group. Each module ends with ``CHECKS``; ``conformance.catalogue`` is their sum."""
