"""The weights folder: metadata, writing and reading, and transfer of weights between networks."""
