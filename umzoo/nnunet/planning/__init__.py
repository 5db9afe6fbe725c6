"""Plans of nnU-Net: the network they ask for, and plans that suit given weights."""
