"""nnU-Net's default augmentation for whole batches, on their device."""

from umzoo.augmentation.default import DefaultAugmentation

__all__ = ["DefaultAugmentation"]
