"""For authors of plug-ins: a package to start from, and a report on what is registered."""
