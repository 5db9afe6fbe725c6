"""Converts scans to the input of a network, and its output back to the grid of the scan."""
