"""From a reference to a folder of weights."""
