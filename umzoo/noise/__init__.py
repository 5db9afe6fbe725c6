"""Noise that is equal on every device, and the compiled loops that may replace tensor operations."""
