"""Self-contained HTML pages of a store, a run, weights or an evaluation."""
