"""The files of a Space of the Hugging Face Hub: a page where weights can be tried on a scan."""

from __future__ import annotations

from huggingface_hub import SpaceCardData

from umzoo import __version__
from umzoo.hub.bundles.manifest import installed_version
from umzoo.weights.card.body import CAUTION
from umzoo.weights.card.merge import BEGIN, END
from umzoo.weights.folder.info import WeightsInfo
from umzoo.weights.folder.licenses import hub_license
from umzoo.weights.folder.reader import CARD

APP, REQUIREMENTS = "app.py", "requirements.txt"
SPACE_FILES = (APP, REQUIREMENTS, CARD)
GRADIO, PYTHON = "6.31.0", "3.12"
"""Versions that the Space runs: of Gradio, with which the page was looked at, and of Python."""
OURS = "# umzoo writes this file anew as long as this line stands."
"""First line of the files that people may edit: without it, a push leaves the file as it is."""

_APP = '''\
{ours}
"""A page to try {ref} on a scan. To run it here: pip install gradio, then python app.py"""

from umzoo.downstream.app import Limits, make_app, serve

limits = Limits(megabytes=200, voxels=64_000_000)
demo = make_app("{ref}", limits)

if __name__ == "__main__":
    serve(demo, limits)
'''
_REQUIREMENTS = """\
{ours}
# PyTorch for the CPU; remove the next line on hardware with a GPU.
--extra-index-url https://download.pytorch.org/whl/cpu
{packages}
"""
_README = """\
---
{front}
---

{begin}
# Try {name}

This Space runs the weights {weights} on a scan that you upload, by [umzoo](https://huggingface.co/models?library=umzoo).

**Not for clinical use.** {caution}

No upload is kept: a scan is removed once it is read, and what was made of it after ten minutes. The license
({license}) is that of the weights. Private weights need a secret `HF_TOKEN` in the settings of this Space: a token
that may read them.
{end}
"""


def space_files(
    info: WeightsInfo, ref: str, model: str = "", license: str | None = None, requirement: str | None = None
) -> dict[str, str]:
    """Return the texts of a Space by file name.

    Args:
        info: what the weights say of themselves.
        ref: what the page loads, as for :func:`umzoo.from_pretrained`.
        model: ``org/name`` of the weights on the Hub; empty if they are not there.
        license: SPDX identifier, if other than that of *info*.
        requirement: line of requirements.txt that installs umzoo; None is its release of this version.
    """
    plugins = dict.fromkeys(filter(None, (info.plugin, info.head_plugin)))
    packages = [requirement or f"umzoo[finetune]=={__version__}", *(_pinned(name) for name in plugins)]
    license = license or info.license
    weights = f"[{model}](https://huggingface.co/{model})" if model else f"`{info.name}`"
    return {
        APP: _APP.format(ours=OURS, ref=ref),
        REQUIREMENTS: _REQUIREMENTS.format(ours=OURS, packages="\n".join(packages)),
        CARD: _README.format(
            front=_front_matter(info, model, license), name=info.name, weights=weights, caution=CAUTION,
            license=license, begin=BEGIN, end=END,
        ),
    }  # fmt: skip


def _front_matter(info: WeightsInfo, model: str, license: str) -> str:
    """What the Space needs; title and colors are left to people."""
    modalities = sorted(info.provenance.modalities.keys() - {"unknown"})
    data = SpaceCardData(
        sdk="gradio",
        sdk_version=GRADIO,
        python_version=PYTHON,
        app_file=APP,
        license=hub_license(license),
        models=[model] if model else None,
        tags=["medical-imaging", "3d", *modalities, *filter(None, [info.task])],
    )
    return data.to_yaml()


def _pinned(distribution: str) -> str:
    known = installed_version(distribution)
    return f"{distribution}=={known}" if known else distribution
