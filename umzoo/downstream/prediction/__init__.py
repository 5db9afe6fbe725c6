"""What a fine-tuned network says of scans it has not seen, on their own grids."""
