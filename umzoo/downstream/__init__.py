"""Uses of pre-trained weights: fine-tuning, prediction, embedding, evaluation, and the quickstart tour."""
