"""Training by nnU-Net from umzoo's weights."""
