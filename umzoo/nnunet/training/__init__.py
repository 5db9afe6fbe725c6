"""Training with nnU-Net, initialized from umzoo's weights."""
