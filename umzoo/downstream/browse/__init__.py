"""Pages in one file, of a store, a run, weights or an evaluation: they need no server and can be sent."""
