"""Where nnU-Net finds umzoo's trainer: ``nnUNet_extTrainer`` names this folder."""

from umzoo.nnunet.training.trainer import nnUNetTrainerUmzoo

__all__ = ["nnUNetTrainerUmzoo"]
