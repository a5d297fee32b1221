"""Coding of latent grids under an integer context model; the same bits on every machine. NumPy and numba, no torch."""
