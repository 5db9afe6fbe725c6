"""Registered weights: what is known of them, and how they are found."""
