"""Vectors from scans: one a scan, one a window, one a region, or dense maps."""
