"""A server that does everything right, and ways to make it wrong: how the checks themselves are tested.

``server`` is the signalling, ``answers`` builds SDP by strings, ``media`` is the seam where a real ICE and DTLS side
may be put in. A mutant is a function around the server's handler that changes a request on its way in or a reply on its
way out (``rewriting``); ``mutants`` has at least one for each check.
"""
