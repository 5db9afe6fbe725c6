"""Scans in, crops out: reading, preparation, the store, sampling and loading. Knows nothing of networks."""
