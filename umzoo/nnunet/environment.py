"""The local installation and setup of nnU-Net."""

from __future__ import annotations

import os
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from packaging.version import Version

from umzoo.errors import ConfigError, DataError, in_one_line

OLDEST = "2.8"
"""The first release that searches for trainers in ``nnUNet_extTrainer``."""

TRAINER = "nnUNetTrainerUmzoo"
"""Class name of umzoo's trainer, by which nnU-Net finds it."""

EXT_TRAINERS = Path(__file__).parent / "ext_trainers"
"""Folder with one module, which imports the trainer; nnU-Net imports every module in the folders it searches."""

_SEARCHED = "nnUNet_extTrainer"


def require_nnunet() -> None:
    """Check that nnU-Net is installed and usable.

    Raises:
        ConfigError: if it is missing or too old, or torchvision, which its trainers import, is incompatible with torch.
    """
    try:
        installed = version("nnunetv2")
    except PackageNotFoundError:
        raise ConfigError("nnU-Net is not installed: pip install 'umzoo[nnunet]'") from None
    if Version(installed) < Version(OLDEST):
        raise ConfigError(f"nnunetv2 {installed} is too old, {OLDEST} or later is needed: pip install -U nnunetv2")
    try:
        import torchvision  # noqa: F401
    except (ImportError, RuntimeError, OSError) as error:
        reason = in_one_line(error, 200)
        raise ConfigError(
            f"torchvision is incompatible with torch ({reason}), and all of nnU-Net's trainers need it:"
            " install torch and torchvision from the same index"
        ) from None


def make_trainer_findable() -> None:
    """Put umzoo's trainer before the user's trainer folders, in the environment of this process."""
    others = [folder for folder in os.environ.get(_SEARCHED, "").split(os.pathsep) if folder]
    folders = [str(EXT_TRAINERS), *(folder for folder in others if folder != str(EXT_TRAINERS))]
    os.environ[_SEARCHED] = os.pathsep.join(folders)


def require_trainer(name: str) -> None:
    """Check that nnU-Net finds the trainer *name*, and that it is one of umzoo's.

    Raises:
        ConfigError: if not; the message explains how to derive such a trainer.
    """
    if name == TRAINER:
        return
    from nnunetv2.utilities.find_objects import recursive_find_trainer_class_by_name

    from umzoo.nnunet.training.trainer import UmzooMixin

    make_trainer_findable()
    try:
        kind = recursive_find_trainer_class_by_name(name)
    except (RuntimeError, ImportError, AttributeError, AssertionError) as error:
        reason = in_one_line(error, 200)
        raise ConfigError(
            f"nnU-Net finds no trainer '{name}' ({reason}): set {_SEARCHED} to the folder of its module"
        ) from None
    if not issubclass(kind, UmzooMixin):
        raise ConfigError(
            f"the trainer '{name}' cannot load weights of umzoo: derive 'class My{name}(UmzooMixin, {name})',"
            " with 'from umzoo.nnunet.training.trainer import UmzooMixin', and give it as '-tr'"
        )


def require_device(device: str, count: int = 1) -> None:
    """Check that *count* devices of type *device* are available.

    Raises:
        ConfigError: if not.
    """
    import torch

    if device not in ("cuda", "cpu", "mps"):
        raise ConfigError(f"unknown device '{device}': give cuda, cpu or mps")
    if device == "cuda" and torch.cuda.device_count() < count:
        raise ConfigError(
            f"expected {count} GPU(s), PyTorch finds {torch.cuda.device_count()}: train on a machine with GPUs,"
            " or give '-device cpu', which is very slow; '--dry-run' shows the transfer of the weights"
        )
    if device == "mps" and not torch.backends.mps.is_available():
        raise ConfigError("PyTorch finds no 'mps' device: give '-device cpu'")


def dataset_name(dataset: str) -> str:
    """Return the full name of *dataset*, which may be a number.

    Raises:
        DataError: if no data set or several data sets have that number.
    """
    from nnunetv2.utilities.dataset_name_id_conversion import maybe_convert_to_dataset_name

    try:
        return str(maybe_convert_to_dataset_name(dataset))
    except (RuntimeError, ValueError):
        raise DataError(
            f"expected one data set '{dataset}', found none or several in {_setting('nnUNet_raw')},"
            f" {_setting('nnUNet_preprocessed')} and {_setting('nnUNet_results')}: give its number or its full name"
        ) from None


def dataset_number(name: str) -> int:
    """Return the number in the full name of a data set, such as ``Dataset004_Hippocampus``."""
    return int(name[7:10])


def preprocessed_folder(dataset: str) -> Path:
    """Return nnU-Net's folder with preprocessed data and plans of *dataset*.

    Raises:
        ConfigError: if ``nnUNet_preprocessed`` is not set.
        DataError: if the data set is unknown, or not planned yet.
    """
    folder = folder_of("nnUNet_preprocessed") / dataset_name(dataset)
    if not folder.is_dir():
        raise DataError(
            f"there is no folder {folder}: plan the data set first (nnUNetv2_extract_fingerprint, then"
            f" 'umzoo nnunet plan')"
        )
    return folder


def folder_of(variable: str) -> Path:
    """Return the folder in nnU-Net's environment variable *variable*.

    Raises:
        ConfigError: if it is not set.
    """
    value = os.environ.get(variable)
    if not value:
        raise ConfigError(f"the environment variable {variable} is not set: set it to nnU-Net's folder")
    return Path(value)


def _setting(variable: str) -> str:
    return f"{variable}={os.environ.get(variable) or 'unset'}"
