"""The training store: its index, its arrays, and what is shown of them."""
