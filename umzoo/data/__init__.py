"""From scans to crops: reading, preparation, the store, sampling and loading. Independent of networks."""
