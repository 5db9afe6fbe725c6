"""What pre-trained weights are for: supervised fine-tuning, prediction, and the tour of it all."""
