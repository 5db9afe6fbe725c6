"""From a store to batches: which crops are cut, by which processes, and their intensities."""
