"""Entropy coding of integers under frozen integer frequency tables. NumPy, no torch."""
