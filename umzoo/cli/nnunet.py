"""``umzoo nnunet``: pre-trained weights in nnU-Net v2."""

from __future__ import annotations

from typing import Annotated

import typer

from umzoo.cli.output import say


def train(
    dataset: Annotated[str, typer.Argument(help="number or name of nnU-Net's data set")],
    configuration: Annotated[str, typer.Argument(help="such as 3d_fullres")],
    fold: Annotated[str, typer.Argument(help="0 to 4, or 'all'")],
    options: Annotated[
        list[str] | None, typer.Argument(help="changes, as finetuning.epochs=50 or rules.minimum=0.3")
    ] = None,
    weights: Annotated[str | None, typer.Option(help="weights folder, org/name, or architecture.tag")] = None,
    no_weights: Annotated[
        bool, typer.Option("--no-weights", help="the matched training from scratch: same plans, trainer and schedule")
    ] = False,
    revision: Annotated[str | None, typer.Option(help="commit of a Hub repository")] = None,
    recipe: Annotated[
        str, typer.Option(help="fine-tuning recipe: sawtooth, warmup, frozen, or nnunet for its own 1000 epochs")
    ] = "sawtooth",
    plans: Annotated[str, typer.Option("-p", "--plans", help="plans to start from")] = "nnUNetResEncUNetMPlans",
    batch_size: Annotated[int | None, typer.Option(min=1, help="instead of the plan's")] = None,
    name: Annotated[str | None, typer.Option(help="name of the derived plans")] = None,
    tr: Annotated[
        str, typer.Option("-tr", "--trainer", help="your own trainer, class MyTrainer(UmzooMixin, nnUNetTrainerX)")
    ] = "nnUNetTrainerUmzoo",
    device: Annotated[str, typer.Option("--device", "-device", help="cuda, cpu or mps")] = "cuda",
    num_gpus: Annotated[int, typer.Option("--num-gpus", "-num_gpus", min=1, help="GPUs")] = 1,
    npz: Annotated[bool, typer.Option("--npz", help="keep the probabilities of the validation")] = False,
    c: Annotated[bool, typer.Option("--c", help="continue")] = False,
    val: Annotated[bool, typer.Option("--val", help="only validate; training must have finished")] = False,
    val_best: Annotated[bool, typer.Option("--val-best", "--val_best", help="validate the best checkpoint")] = False,
    disable_checkpointing: Annotated[
        bool, typer.Option("--disable-checkpointing", "--disable_checkpointing", help="save nothing")
    ] = False,
    fast_augmentation: Annotated[
        bool, typer.Option("--fast-augmentation", help="nnU-Net's default augmentation on the training device")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="print the transfer report, and stop")] = False,
) -> None:
    """Train nnU-Net from pre-trained weights; it has the flags of nnUNetv2_train except -pretrained_weights."""
    from umzoo.errors import ConfigError
    from umzoo.nnunet.training.derived_plans import Request
    from umzoo.nnunet.training.plans_entry import parse_options
    from umzoo.nnunet.training.train import Flags, prepare
    from umzoo.nnunet.training.train import train as run
    from umzoo.terminal import Terminal

    if (weights is None) != no_weights:
        raise ConfigError("give --weights REF, or --no-weights for the matched training from scratch")
    augmented = ["fast_augmentation=true"] if fast_augmentation else []
    choices = parse_options(recipe, [*(options or ()), *augmented])
    request = Request(dataset, configuration, plans, weights, choices, recipe, revision, batch_size, name)
    flags = Flags(device, num_gpus, tr, npz, c, val, val_best, disable_checkpointing)
    request, report = prepare(request, flags, dry_run)
    if report is not None:
        Terminal(highlight=False).print(report)
    if dry_run:
        say(f"nothing was written; the plans would be {request.file}")
        return
    say(f"plans: {request.file}")
    run(request, fold, flags)
