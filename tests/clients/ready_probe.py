"""Asks a URL, from inside a namespace: ``python ready_probe.py URL [TEXT ...]``.

Exit status 0 where it answers 200 and the answer holds the texts.
"""

import sys
import urllib.error
import urllib.request

try:
    with urllib.request.urlopen(sys.argv[1], timeout=5) as response:
        answer = response.read().decode()
    sys.exit(not all(text in answer for text in sys.argv[2:]))
except (urllib.error.URLError, OSError):
    sys.exit(1)
