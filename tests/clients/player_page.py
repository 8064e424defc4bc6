"""Where things are on the player page, as far as the tests touch it."""

PLAY = "#start"
"""What a person clicks to start."""
SAMPLE = "#chips button"
"""A built-in sentence."""
