"""Public checkpoints of 3DINO, anatomix and Merlin. Places and files are those in the projects' own code."""

from __future__ import annotations

from umzoo.weights.catalog.entry import WeightsEntry

MERLIN_VOLUMES = 15_331

FOUNDATION = (
    WeightsEntry(
        name="vit3d_l.3dino",
        location="AICONSlab/3DINO-ViT",
        license="CC-BY-NC-ND-4.0",
        description="3DINO: self-distillation on about 100,000 CT and MR of over 10 organs, ViT-L; asks for a login",
        importer="vit3d",
        files=("3dino_vit_weights.pth",),
        options={"source": "3dino"},
        modalities=("ct", "mr"),
        regions=("body",),
    ),
    WeightsEntry(
        name="unet3d.anatomix",
        location="neeldey/anatomix",
        license="MIT",
        description="anatomix: contrastive on synthetic volumes of random shapes, 6 M parameters",
        importer="anatomix",
        files=("anatomix.pth",),
    ),
    WeightsEntry(
        name="unet3d.anatomix_dev",
        location="neeldey/anatomix",
        license="MIT",
        description="anatomix, experimental: on more synthetic volumes, 94 M parameters",
        importer="anatomix",
        files=("anatomix-dev.pth",),
    ),
    WeightsEntry(
        name="resnet3d_152.merlin",
        location="stanfordmimi/Merlin",
        license="MIT",
        description=f"Merlin: reports and diagnoses of {MERLIN_VOLUMES:,} CT of the abdomen; image encoder",
        importer="merlin",
        files=("i3_resnet_clinical_longformer_best_clip_04-02-2024_23-21-36_epoch_99.pt",),
        provenance={"modalities": {"ct": MERLIN_VOLUMES}, "volumes": MERLIN_VOLUMES},
        regions=("abdomen",),
    ),
)
"""Xu et al., npj Digital Medicine 2025; Dey et al., ICLR 2025; Blankemeier et al., Nature 2026."""
