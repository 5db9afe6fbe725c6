"""Entry points of ``torch.hub``: they work from a plain checkout, with nothing of umzoo installed.

``torch.hub.load(CHECKOUT, "from_pretrained", FOLDER, source="local")`` loads a weights folder or a repository of the
Hugging Face Hub; ``torch.hub.load(CHECKOUT, "resenc_unet_l", weights=FOLDER, source="local")`` one architecture.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Any

dependencies = [
    "torch",
    "numpy",
    "safetensors",
    "huggingface_hub",
    "pluggy",
    "pydantic",
    "typing_extensions",
    "dynamic_network_architectures",
]


def from_pretrained(ref: Path | str, **options: Any) -> Any:
    """Return the network of a weights folder or of ``org/name`` on the Hub; see ``umzoo.from_pretrained``."""
    import umzoo

    return umzoo.from_pretrained(ref, **options)


def _entry(name: str) -> Callable[..., Any]:
    """The entry point of architecture *name*."""

    def entry(weights: Path | str | None = None, pretrained: bool = False, **options: Any) -> Any:
        import umzoo

        if pretrained and weights is None:
            weights = _registered(name)
        if weights is None:
            return umzoo.create_model(name, **options)
        model = umzoo.from_pretrained(weights, **options)
        found = getattr(model, "backbone", model).name
        if found != name:
            raise umzoo.UmzooError(f"the weights are of '{found}', not of '{name}': load them with that entry")
        return model

    entry.__name__ = name
    entry.__doc__ = f"""Return ``{name}`` with random weights, or with those of *weights*.

    Args:
        weights: a weights folder, or ``org/name`` on the Hub; *options* are those of ``umzoo.from_pretrained`` then.
        pretrained: take the first registered weights of this architecture.
        options: options of the architecture, such as ``in_channels=2``.
    """
    return entry


def _registered(name: str) -> str:
    """The first registered weights of architecture *name*."""
    import umzoo

    known = umzoo.list_models(f"{name}.*", pretrained=True)
    if not known:
        raise umzoo.UmzooError(f"no weights of '{name}' are registered: pass weights=FOLDER or weights='org/name'")
    return known[0]


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
