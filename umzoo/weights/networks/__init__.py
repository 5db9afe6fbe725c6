"""Loads networks from a weights folder, and exports networks to other runtimes."""
