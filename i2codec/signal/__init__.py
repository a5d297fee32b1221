"""Signals: samples on a grid, what they mean, their coordinates and their error."""
