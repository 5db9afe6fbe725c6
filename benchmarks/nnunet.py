"""Does starting from weights help nnU-Net? Both arms, on cases that no training saw.

    python benchmarks/nnunet.py 4 --weights FOLDER --folds 0 1 2 --device cpu --batch-size 2 finetuning.epochs=10

The data set must be planned and preprocessed, and hold labeled test cases (``imagesTs`` and ``labelsTs`` in
``nnUNet_raw``). Each fold is trained twice, from the weights and from scratch, with the same plans, trainer and
schedule; the Dice of the test cases is the mean over cases and classes. Folds that are trained already are not
trained again.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from report import write_results
from rich.console import Console
from rich.table import Table

from umzoo.nnunet.environment import TRAINER, dataset_name, folder_of
from umzoo.nnunet.planning.configuration import read_json
from umzoo.nnunet.training.derived_plans import Request
from umzoo.nnunet.training.plans_entry import parse_options


def main() -> None:
    """Train, predict and compare."""
    arguments = _parse()
    console = Console()
    dice: dict[str, list[float]] = {"weights": [], "scratch": []}
    for fold in arguments.folds:
        for arm, reference in (("weights", arguments.weights), ("scratch", None)):
            request = _request(arguments, reference)
            _train(request, fold, arguments)
            dice[arm].append(_score(request, fold, arguments.device))
            console.print(f"fold {fold}, {arm}: Dice {dice[arm][-1]:.3f}", highlight=False)
    result = summarize(dice)
    console.print(_table(dice, result))
    settings = {"options": arguments.options, "recipe": arguments.recipe, "batch_size": arguments.batch_size}
    file = write_results(arguments.name, {"folds": arguments.folds, **settings, "dice": dice, **result})
    console.print(f"wrote {file}")


def summarize(dice: dict[str, list[float]]) -> dict[str, Any]:
    """Means, and the gain of each fold."""
    gains = [a - b for a, b in zip(dice["weights"], dice["scratch"], strict=True)]
    means = {arm: round(statistics.mean(values), 4) for arm, values in dice.items()}
    return {"mean": means, "gains": [round(gain, 4) for gain in gains], "gain": round(statistics.mean(gains), 4)}


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("dataset")
    parser.add_argument("options", nargs="*", help="as for umzoo nnunet train")
    parser.add_argument("--weights", required=True)
    parser.add_argument("--folds", nargs="+", default=["0"])
    parser.add_argument("--plans", default="nnUNetResEncUNetMPlans")
    parser.add_argument("--recipe", default="nnunet")
    parser.add_argument("--batch-size", type=int, default=2)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--name", default="nnunet", help="name of the result")
    return parser.parse_intermixed_args()


def _request(arguments: argparse.Namespace, reference: str | None) -> Request:
    options = parse_options(arguments.recipe, arguments.options)
    return Request(arguments.dataset, "3d_fullres", arguments.plans, reference, options, arguments.recipe)


def _train(request: Request, fold: str, arguments: argparse.Namespace) -> None:
    model = f"{TRAINER}__{request.plans_name}__{request.configuration}"
    folder = folder_of("nnUNet_results") / dataset_name(request.dataset) / model / f"fold_{fold}"
    if (folder / "checkpoint_final.pth").is_file():
        return
    weights = ["--no-weights"] if request.reference is None else ["--weights", request.reference]
    command = [sys.executable, "-m", "umzoo", "nnunet", "train", request.dataset, request.configuration, fold]
    command += [*arguments.options, *weights, "--recipe", request.recipe, "-p", request.base]
    _run([*command, "--batch-size", str(arguments.batch_size), "-device", arguments.device])


def _score(request: Request, fold: str, device: str) -> float:
    """Dice of nnU-Net's own prediction of the test cases."""
    from nnunetv2.evaluation.evaluate_predictions import compute_metrics_on_folder_simple

    data = folder_of("nnUNet_raw") / dataset_name(request.dataset)
    out = folder_of("nnUNet_results") / data.name / f"test_{request.plans_name}_{fold}"
    predict = Path(sys.executable).with_name("nnUNetv2_predict")
    command = [str(predict), "-d", request.dataset, "-i", str(data / "imagesTs"), "-o", str(out), "-f", fold]
    command += ["-tr", TRAINER, "-p", request.plans_name, "-c", request.configuration, "-device", device]
    _run([*command, "-npp", "1", "-nps", "1"])
    labels = [value for name, value in read_json(data / "dataset.json")["labels"].items() if name != "background"]
    compute_metrics_on_folder_simple(str(data / "labelsTs"), str(out), labels, str(out / "summary.json"), 1)
    return round(float(read_json(out / "summary.json")["foreground_mean"]["Dice"]), 4)


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\n{done.stdout[-2000:]}{done.stderr[-4000:]}")


def _table(dice: dict[str, list[float]], result: dict[str, Any]) -> Table:
    table = Table("", *(f"fold {index}" for index in range(len(dice["weights"]))), "mean", title="Dice, test cases")
    for arm, values in dice.items():
        table.add_row(arm, *(f"{value:.3f}" for value in values), f"{result['mean'][arm]:.3f}")
    table.add_row("gain", *(f"{value:+.3f}" for value in result["gains"]), f"{result['gain']:+.3f}")
    return table


if __name__ == "__main__":
    main()
