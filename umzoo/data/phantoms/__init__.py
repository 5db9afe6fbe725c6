"""Synthetic CT- and MR-like volumes."""
