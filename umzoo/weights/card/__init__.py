"""The model card of a weights folder."""
