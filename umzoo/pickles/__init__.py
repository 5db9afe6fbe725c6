"""Untrusted pickles are read in a process of their own, which can neither open nor write files.

:mod:`umzoo.pickles.client` is for callers; all else here runs in the process that is started, without any package.
"""
