"""Noise that is equal on every device, and optional compiled loops instead of tensor operations."""
