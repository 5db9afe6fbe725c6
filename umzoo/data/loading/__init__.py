"""From a store to batches: sampling of crops, reader processes, and intensities."""
