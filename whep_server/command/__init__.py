"""What the ``whep-avatar`` command does; ``__main__`` reads its arguments."""
