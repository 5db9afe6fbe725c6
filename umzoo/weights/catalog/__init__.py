"""Registered weights: their metadata, and searching them."""
