"""Use of pre-trained weights in nnU-Net v2: planning, fine-tuning, and checkpoint files for its commands."""
