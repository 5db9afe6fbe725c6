"""Entry points of ``torch.hub``: they work from a plain checkout, with nothing of umzoo installed.

``torch.hub.load(CHECKOUT, "from_pretrained", REF, source="local")`` loads a weights folder or a repository of the
Hugging Face Hub; ``torch.hub.load(CHECKOUT, "resenc_unet_l", weights=REF, source="local")`` one architecture. Those
of installed plug-ins are entries too.
"""

from __future__ import annotations

import importlib.util as _importlib_util
from typing import TYPE_CHECKING

import umzoo as _umzoo

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Any

dependencies = [
    "torch",
    "numpy",
    "safetensors",
    "huggingface_hub",
    "filelock",
    "pluggy",
    "pydantic",
    "typing_extensions",
    "dynamic_network_architectures",
]


def from_pretrained(ref: Path | str, **options: Any) -> Any:
    """Return the network of a weights folder or of ``org/name[@revision]`` on the Hub.

    Args:
        ref: weights folder, ``org/name``, or a registered ``architecture.tag``.
        options: those of ``umzoo.from_pretrained``, such as ``head``, ``in_channels``, ``revision`` and ``token``.
    """
    return _umzoo.from_pretrained(ref, **options)


def _entry(name: str) -> Callable[..., Any]:
    """The entry point of architecture *name*."""

    def entry(weights: Path | str | None = None, pretrained: bool = False, **options: Any) -> Any:
        if pretrained and weights is None:
            weights = _registered(name)
        if weights is None:
            return _umzoo.create_model(name, **options)
        model = _umzoo.from_pretrained(weights, **options)
        found = getattr(model, "backbone", model).name
        if found != name:
            raise _umzoo.UmzooError(f"the weights are of '{found}', not of '{name}': load them with that entry")
        return model

    entry.__name__ = name
    entry.__doc__ = f"""Return ``{name}`` with random weights, or with those of *weights*.

    Args:
        weights: a weights folder, ``org/name`` on the Hub, or a registered ``architecture.tag``; *options* are those of
            ``umzoo.from_pretrained`` then.
        pretrained: take the registered weights of this architecture, if there is one choice.
        options: options of the architecture, such as ``in_channels=2``.
    """
    return entry


def _registered(name: str) -> str:
    """The registered weights of architecture *name*, if there is one choice."""
    known = _umzoo.list_models(f"{name}.*", pretrained=True)
    if not known:
        raise _umzoo.UmzooError(f"no weights of '{name}' are registered: pass weights=FOLDER or weights='org/name'")
    if len(known) > 1:
        raise _umzoo.UmzooError(f"several weights of '{name}' are registered: pass weights= one of {', '.join(known)}")
    return known[0]


def __getattr__(name: str) -> Any:
    """The entry point of an architecture that a plug-in brings."""
    if not name.startswith("_") and name in _plugged_in():
        return _entry(name)
    raise AttributeError(f"there is no entry point {name!r}; see torch.hub.list")


def __dir__() -> list[str]:
    """Names here, and the architectures of plug-ins, which is where ``torch.hub.list`` looks."""
    return sorted({*globals(), *_plugged_in()})


def _plugged_in() -> list[str]:
    """Architectures that plug-ins bring; none while a dependency is missing, of which ``torch.hub`` will tell."""
    if any(_importlib_util.find_spec(name) is None for name in dependencies):
        return []
    return [name for name in _umzoo.list_models() if name not in globals()]


genesis_unet = _entry("genesis_unet")
plainconv_unet = _entry("plainconv_unet")
resenc_unet_s = _entry("resenc_unet_s")
resenc_unet_m = _entry("resenc_unet_m")
resenc_unet_l = _entry("resenc_unet_l")
resenc_unet_xl = _entry("resenc_unet_xl")
primus_s = _entry("primus_s")
primus_b = _entry("primus_b")
primus_m = _entry("primus_m")
primus_l = _entry("primus_l")
