"""The benchmarks behind `whep-avatar bench`: run side by side, printed as ratios."""
