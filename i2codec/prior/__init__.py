"""Frozen, numbered priors of a grid field's parameters: what its tensors are counted from."""
