"""Makes umzoo's trainer known to nnU-Net, which searches this folder if it is in ``nnUNet_extTrainer``."""

from umzoo.nnunet.training.trainer import nnUNetTrainerUmzoo

__all__ = ["nnUNetTrainerUmzoo"]
