"""Asks a URL whether it answers 200: ``python ready_probe.py URL``; exit status 0 where it does. For namespaces."""

import sys
import urllib.error
import urllib.request

try:
    with urllib.request.urlopen(sys.argv[1], timeout=5) as response:
        sys.exit(response.status != 200)
except (urllib.error.URLError, OSError):
    sys.exit(1)
