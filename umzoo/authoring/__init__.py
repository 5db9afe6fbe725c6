"""Tools for authors of plug-ins: a package template, and a conformance report."""
