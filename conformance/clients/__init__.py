"""The other way round: a mock server that judges the players and publishers which come to it.

``scripts`` are the ways in which the server behaves, right or wrong; ``witness`` keeps what a client did; ``rules``
judge it; ``hosting`` waits for one client and asks the rules.
"""
