"""From a weights folder to a repository of the Hub."""
