"""Training: recipes, the step, the trainer, checkpoints, logs and pictures."""
