"""Predictions of fine-tuned networks for new scans, on their original grids."""
