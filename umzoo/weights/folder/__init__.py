"""The weights folder on disk: tensors, ``config.json``, licenses."""
