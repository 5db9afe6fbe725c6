"""Pickles of strangers, read in a process of its own that can neither open a file nor keep what it makes.

:mod:`umzoo.pickles.client` is for callers; all else here runs in the process that is started, without any package.
"""
