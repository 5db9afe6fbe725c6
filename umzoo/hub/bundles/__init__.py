"""Weights in one file, for sites without a network."""
