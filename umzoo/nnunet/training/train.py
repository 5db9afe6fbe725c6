"""Trains nnU-Net from weights: check the transfer, derive plans, train."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from umzoo.errors import ConfigError
from umzoo.nnunet.environment import TRAINER, make_trainer_findable, require_device, require_nnunet, require_trainer
from umzoo.nnunet.training.derived_plans import Request, check_continued, continued, derive_plans
from umzoo.weights.transfer import TransferReport


@dataclass(frozen=True)
class Flags:
    """nnU-Net's flags of a training; see ``nnUNetv2_train --help``."""

    device: str = "cuda"
    num_gpus: int = 1
    tr: str = TRAINER
    npz: bool = False
    c: bool = False
    val: bool = False
    val_best: bool = False
    disable_checkpointing: bool = False


def prepare(request: Request, flags: Flags, dry_run: bool = False) -> tuple[Request, TransferReport | None]:
    """Check the weights and derive the plans; continued or validated trainings reuse their plans.

    Returns *request* with the name of its plans, and the report of a new transfer.

    Raises:
        ConfigError: if nnU-Net is not installed or set up, the device or the trainer is missing, or existing plans of
            that name differ.
        DataError: if the data is not planned or preprocessed.
        WeightsError: if the weights cannot be found or downloaded, or do not fit.
    """
    require_nnunet()
    if not dry_run:
        require_device(flags.device, flags.num_gpus)
    require_trainer(flags.tr)
    known = continued(request) if flags.val or flags.c else None
    if known is not None:
        check_continued(known)
        return known, None
    if flags.val:
        raise ConfigError(f"no plans of this training in {request.folder}: train before validating")
    return request, derive_plans(request, write=not dry_run)


def train(request: Request, fold: str, flags: Flags) -> None:
    """Run nnU-Net's training with the derived plans that :func:`prepare` wrote.

    Raises:
        WeightsError: if the weights cannot be loaded when training starts.
    """
    from nnunetv2.run.run_training import run_training

    make_trainer_findable()
    if flags.device == "cuda":
        torch.set_num_threads(1)
    run_training(
        request.dataset,
        request.configuration,
        fold,
        flags.tr,
        request.plans_name,
        num_gpus=flags.num_gpus,
        export_validation_probabilities=flags.npz,
        continue_training=flags.c,
        only_run_validation=flags.val,
        disable_checkpointing=flags.disable_checkpointing,
        val_with_best=flags.val_best,
        device=torch.device(flags.device),
    )
