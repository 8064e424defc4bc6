"""Where things are on the player page, as far as the tests touch it."""

PLAY = "#start"
"""What a person clicks to start."""
SAMPLE = "#chips button:nth-of-type(4)"
"""A built-in sentence."""
