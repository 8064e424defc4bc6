"""The embedded engine: a small causal network hears the speech, a vector mouth is drawn in the picture's pose."""
