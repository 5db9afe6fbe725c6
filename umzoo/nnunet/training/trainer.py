"""nnU-Net's trainer, initialized from umzoo's weights."""

from __future__ import annotations

from io import StringIO
from pathlib import Path
from typing import Any

import torch
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from torch.nn.parallel import DistributedDataParallel

from umzoo.errors import CheckpointError, WeightsError
from umzoo.files import written_whole
from umzoo.nnunet.planning.configuration import Planned
from umzoo.nnunet.training.batch_augmentation import BatchAugmentation, batch_augmentation
from umzoo.nnunet.training.finetuning import Schedule, encoder_parameters, parameter_groups
from umzoo.nnunet.training.plans_entry import read_entry
from umzoo.nnunet.training.preflight import initialize
from umzoo.terminal import Terminal
from umzoo.weights.transfer import TransferReport
from umzoo.weights.transfer.saved_report import read_report, save_report


class UmzooMixin(nnUNetTrainer):
    """Initializes a trainer from umzoo's weights: ``class MyTrainer(UmzooMixin, nnUNetTrainerOfMine): pass``.

    The plans' ``umzoo`` entry (:class:`umzoo.nnunet.training.plans_entry.PlansEntry`) sets epochs, learning rates and
    optimizer. Augmentation, loss, network and everything else come from the other trainer.

    Weights are loaded once, before the first epoch of a new training; continuation, validation and prediction use
    nnU-Net's checkpoints instead. Checkpoints name the other trainer, so prediction does not need umzoo.
    """

    network: Any

    def __init__(
        self,
        plans: dict[str, Any],
        configuration: str,
        fold: int | str,
        dataset_json: dict[str, Any],
        device: torch.device = torch.device("cuda"),  # noqa: B008 - the signature of nnU-Net's trainers
    ) -> None:
        self.entry = read_entry(plans)
        super().__init__(plans, configuration, fold, dataset_json, device)
        options = self.entry.finetuning
        self.num_epochs = options.epochs
        self.num_iterations_per_epoch = options.iterations
        self.num_val_iterations_per_epoch = options.validation_iterations
        self.initial_lr = options.lr
        self.weight_decay = options.weight_decay
        self.transferred: frozenset[str] = frozenset()
        self.batch_augmentation: BatchAugmentation | None = None

    def configure_optimizers(self) -> tuple[torch.optim.Optimizer, Schedule]:
        """Return nnU-Net's optimizer with layer groups, and the schedule of the fine-tuning recipe."""
        groups = parameter_groups(self.network, self.entry.finetuning.layer_decay)
        optimizer = torch.optim.SGD(
            groups, self.initial_lr, momentum=0.99, nesterov=True, weight_decay=self.weight_decay
        )
        return optimizer, Schedule(optimizer, self.entry.finetuning)

    def on_train_start(self) -> None:
        """Load the weights if this training is new, then continue with nnU-Net's start of training.

        Raises:
            WeightsError: if the weights cannot be loaded; then nothing is trained.
        """
        if not self.was_initialized:
            self.initialize()
        report = self._load_weights() if self.current_epoch == 0 else self._read_report()
        self.transferred = frozenset((*report.exact, *report.adapted))
        super().on_train_start()

    def _load_weights(self) -> TransferReport:
        planned = Planned(self.plans_manager.plans, self.configuration_name, self.dataset_json)
        report = initialize(self.network, planned, self.entry, Path(self.preprocessed_dataset_folder_base))
        if self.local_rank == 0:
            save_report(report, Path(self.output_folder))
        text = StringIO()
        Terminal(file=text, width=120).print(report)
        self.print_to_log_file(f"\n{text.getvalue()}", add_timestamp=False)
        return report

    def _read_report(self) -> TransferReport:
        """Return the report of a continued training, which lists the tensors to freeze."""
        try:
            return read_report(Path(self.output_folder))
        except WeightsError as error:
            raise CheckpointError(f"{error}; it was written when this training began: start anew") from None

    @property
    def _other_trainer(self) -> type[nnUNetTrainer]:
        """The trainer class that the mixin extends."""
        others = (kind for kind in type(self).__mro__ if not issubclass(kind, UmzooMixin))
        return next(others, nnUNetTrainer)

    def on_train_epoch_start(self) -> None:
        """Freeze or unfreeze the encoder, then start nnU-Net's epoch."""
        self._freeze(self.current_epoch < self.entry.finetuning.frozen)
        super().on_train_epoch_start()

    def _freeze(self, frozen: bool) -> None:
        """Freeze or unfreeze transferred encoder tensors; DDP wraps the network again, since it caches trainability."""
        changed = [it for it in encoder_parameters(self.network, self.transferred) if it.requires_grad == frozen]
        for parameter in changed:
            parameter.requires_grad_(not frozen)
            parameter.grad = None
        if changed and self.is_ddp:
            self.network = DistributedDataParallel(self.network.module, device_ids=[self.local_rank])
        if changed:
            self.print_to_log_file(f"{len(changed)} tensors of the encoder are {'frozen' if frozen else 'trained'}")

    def get_training_transforms(
        self,
        patch_size: Any,
        rotation_for_DA: Any,  # noqa: N803 - nnU-Net's name
        deep_supervision_scales: Any,
        mirror_axes: Any,
        do_dummy_2d_data_aug: bool,
        *others: Any,
        **options: Any,
    ) -> Any:
        """Return the other trainer's transforms; with ``fast_augmentation`` None, as whole batches are augmented.

        Raises:
            ConfigError: if batch augmentation does not support these transforms.
        """
        made = super().get_training_transforms(
            patch_size, rotation_for_DA, deep_supervision_scales, mirror_axes, do_dummy_2d_data_aug, *others, **options
        )
        if not self.entry.fast_augmentation:
            return made
        labels = [-1, *self.label_manager.all_labels]
        if self.label_manager.has_ignore_label:
            labels.append(self.label_manager.ignore_label)
        self.batch_augmentation = batch_augmentation(
            made, patch_size, max(rotation_for_DA), mirror_axes, do_dummy_2d_data_aug, labels
        )
        return None

    def train_step(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Run the other trainer's step; with ``fast_augmentation``, augment the batch first."""
        if self.batch_augmentation is not None:
            batch = self.batch_augmentation(batch, self.device)
        found: dict[str, Any] = super().train_step(batch)
        return found

    def save_checkpoint(self, filename: str) -> None:
        """Save nnU-Net's checkpoint atomically, with the class name of the other trainer."""
        partial = Path(f"{filename}.partial")
        if self.local_rank == 0:
            partial.unlink(missing_ok=True)
        super().save_checkpoint(str(partial))
        if self.local_rank != 0 or not partial.is_file():
            return
        checkpoint = torch.load(partial, map_location="cpu", weights_only=False)
        names = {"trainer_name": self._other_trainer.__name__, "umzoo_trainer_name": type(self).__name__}
        with written_whole(Path(filename)) as final:
            torch.save(checkpoint | names, final)
        partial.unlink()


class nnUNetTrainerUmzoo(UmzooMixin, nnUNetTrainer):  # noqa: N801 - nnU-Net searches for trainers by names like this
    """nnU-Net's default trainer, initialized from umzoo's weights."""
