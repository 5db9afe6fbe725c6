"""Any random array transform of MONAI as a corruption."""

from __future__ import annotations

from typing import Any

import torch
from pydantic import Field
from torch import Tensor

import umzoo
from umzoo.errors import ConfigError, nearest
from umzoo_monai.optional import get_monai


class MonaiTransform(umzoo.Corruption):
    """Apply one of MONAI's ``Rand*`` array transforms to each image; the result is clamped to [0, 1]."""

    name = "monai_transform"

    class Config(umzoo.Config):
        """Options of ``monai_transform``."""

        transform: str = Field("RandGibbsNoise", description="class of monai.transforms, such as RandGibbsNoise")
        arguments: dict[str, Any] = Field({}, description="arguments of the transform, except 'prob'")
        p: float = Field(0.5, ge=0, le=1, description="probability per image")

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        transforms = get_monai("monai.transforms")
        known = [name for name in dir(transforms) if name.startswith("Rand")]
        kind = getattr(transforms, config.transform, None)
        if not (isinstance(kind, type) and issubclass(kind, transforms.RandomizableTransform)):
            raise ConfigError(
                f"MONAI has no random array transform '{config.transform}'{nearest(config.transform, known)}"
            )
        try:
            self.transform = kind(**config.arguments, prob=1.0)
        except (TypeError, ValueError) as error:
            raise ConfigError(f"arguments of {config.transform}: {error}") from None

    def draw(self, image: Tensor, rng: umzoo.Rng) -> umzoo.Fields:
        """Return ``applied``, bool ``(B,)``, and ``seed``, int64 ``(B,)``."""
        count = (len(image),)
        return {"applied": rng.bernoulli(count, self.config.p), "seed": rng.integers(count, 0, 2**31 - 1)}

    def apply(self, image: Tensor, params: umzoo.Fields) -> Tensor:
        """Return *image* ``(B, C, D, H, W)`` with the transform applied to the selected items.

        Raises:
            ConfigError: if the transform changes the shape.
        """
        result = image.clone()
        for item, applied, seed in zip(result, params["applied"], params["seed"], strict=True):
            if not applied:
                continue
            self.transform.set_random_state(seed=int(seed))
            answer = torch.as_tensor(self.transform(item.clone())).as_subclass(Tensor)
            if answer.shape != item.shape:
                raise ConfigError(
                    f"{self.config.transform} must keep the shape {tuple(item.shape)}, got {tuple(answer.shape)}:"
                    " choose another transform"
                )
            item.copy_(answer.clamp(0, 1))
        return result
