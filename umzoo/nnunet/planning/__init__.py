"""Plans of nnU-Net: the planned network, and plans adapted to given weights."""
