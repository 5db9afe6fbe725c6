"""Reads folders preprocessed by nnU-Net v2 or nnssl as a store."""
