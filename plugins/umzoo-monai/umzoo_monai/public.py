"""Locations and licenses of public checkpoints of Swin UNETR and SegResNet."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from umzoo.weights.catalog.entry import WeightsEntry

MONAI_VOLUMES = 5_050
VOCO_VOLUMES = 160_000
MONAI = "https://github.com/Project-MONAI/MONAI-extra-test-data/releases/download/0.8.1"
VOCO = {
    "voco_b": ("VoCo_B_SSL_head.pt", "VoCo on 160,000 CT, 53 M parameters; encoder"),
    "voco_l": ("VoCo_L_SSL_head.pt", "VoCo on 160,000 CT, 206 M parameters; encoder"),
    "voco_h": ("VoCo_H_SSL_head.pt", "VoCo on 160,000 CT, 818 M parameters; encoder"),
    "vocomni_b": ("VoComni_B.pt", "VoCo, then supervised on VoComni, 72 M parameters"),
    "vocomni_l": ("VoComni_L.pt", "VoCo, then supervised on VoComni, 290 M parameters"),
    "vocomni_h": ("VoComni_H.pt", "VoCo, then supervised on VoComni, 1.2 G parameters"),
}
"""Checkpoints of Wu et al., arXiv 2410.09890: file and description."""
BTCV = {
    "btcv_tiny": "swin_unetr.tiny_5000ep_f12_lr2e-4_pretrained.pt",
    "btcv_small": "swin_unetr.small_5000ep_f24_lr2e-4_pretrained.pt",
    "btcv_base": "swin_unetr.base_5000ep_f48_lr2e-4_pretrained.pt",
}
"""Files of MONAI's research contributions, whose repository is under Apache-2.0."""
SUPREM = WeightsEntry(
    name="segresnet.suprem",
    location="https://huggingface.co/MrGiovanni/SuPreM/resolve/main/supervised_suprem_segresnet_2100.pth",
    license="CC-BY-NC-ND-4.0",
    description="SuPreM: supervised on 2,100 CT of AbdomenAtlas, organs of the abdomen, 4.7 M parameters",
    importer="monai_segresnet",
    options={"source": "suprem"},
    provenance={"datasets": {"AbdomenAtlas": 2_100}, "modalities": {"ct": 2_100}, "volumes": 2_100},
    modalities=("ct",),
    regions=("abdomen",),
)
"""Li et al., ICLR 2024."""


def public_checkpoints() -> Iterator[WeightsEntry]:
    """Yield an entry for each public checkpoint with a known location and license."""
    text = f"MONAI: three tasks on {MONAI_VOLUMES:,} CT"
    seen = {"modalities": {"ct": MONAI_VOLUMES}, "volumes": MONAI_VOLUMES}
    yield _entry("swin_vit.monai_ssl", f"{MONAI}/model_swinvit.pt", text, "monai_ssl", seen)
    for tag, file in BTCV.items():
        text = "MONAI: supervised on BTCV, CT of 13 organs"
        yield _entry(f"swin_unetr.{tag}", f"{MONAI}/{file}", text, "swin_unetr", {})
    for tag, (file, text) in VOCO.items():
        seen = {"datasets": {"Luffy503/PreCT-160K": VOCO_VOLUMES}, "modalities": {"ct": VOCO_VOLUMES}}
        yield _entry(f"swin_unetr.{tag}", "Luffy503/VoCo", text, "voco", seen | {"volumes": VOCO_VOLUMES}, (file,))
    yield SUPREM


def _entry(
    name: str, location: str, text: str, source: str, seen: Mapping[str, Any], files: tuple[str, ...] = ()
) -> WeightsEntry:
    return WeightsEntry(
        name=name,
        location=location,
        license="Apache-2.0",
        description=text,
        importer="monai_swin",
        files=files,
        options={"source": source},
        provenance=seen,
        modalities=("ct",),
        regions=("abdomen",) if "btcv" in name else ("head", "chest", "abdomen"),
    )
