"""Where things are on the player page, as far as the tests touch it."""

PLAY = "#play"
"""What a person clicks to start."""
SAMPLE = "#samples button"
"""A built-in sentence."""
