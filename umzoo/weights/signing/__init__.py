"""Signatures of weights folders."""
