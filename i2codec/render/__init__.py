"""The decoder: a stored field evaluated on a grid of any size. Never imports the encoder."""
