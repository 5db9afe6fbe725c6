"""Reads untrusted pickles in a separate process that can neither open nor write files.

:mod:`umzoo.pickles.client` is for callers; the other modules run in that process, with the standard library only.
"""
