"""The encoder: fit a field to a signal, quantise it, choose its step count."""
