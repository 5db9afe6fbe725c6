"""nnU-Net v2 as a place to use pre-trained weights: planning, fine-tuning, and files for its own commands."""
