"""A scan brought to what a network expects, and what the network answers brought back onto the scan."""
