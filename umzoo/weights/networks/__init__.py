"""From a weights folder to a network, and from a network to other runtimes."""
