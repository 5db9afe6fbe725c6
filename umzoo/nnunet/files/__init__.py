"""Weights as files for the commands of nnU-Net and nnssl."""
