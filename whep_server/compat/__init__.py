"""The original server's HTTP contract, on the same streams as WHEP."""
