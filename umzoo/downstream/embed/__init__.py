"""Embedding of scans: one vector per scan, window or region, or dense feature maps."""
