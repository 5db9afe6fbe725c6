"""The weights folder: what it says of itself, writing and reading it, moving weights between networks."""
