"""Folders that nnU-Net v2 or nnssl preprocessed, read as a store is."""
