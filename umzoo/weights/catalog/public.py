"""Public checkpoints of other projects: location, license and importer.

The files themselves are not included. A checksum is given if one is publicly known; licenses are those stated where the
files are published, or else the project's own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from umzoo.hookspecs import hookimpl
from umzoo.weights.catalog.entry import WeightsEntry
from umzoo.weights.catalog.foundation import FOUNDATION

OPENMIND = {
    "resenc_unet_l.openmind_mae": (
        "MIC-DKFZ/ResEncL-OpenMind-MAE",
        "7a847af785635335c00e711d16ff4d225d86ecd5992b14c059df2b520e3ee933",
    ),
    "resenc_unet_l.openmind_voco": ("MIC-DKFZ/ResEncL-OpenMind-VoCo", ""),
    "resenc_unet_l.openmind_vf": ("AnonRes/ResEncL-OpenMind-VF", ""),
    "resenc_unet_l.openmind_simclr": ("AnonRes/ResEncL-OpenMind-SimCLR", ""),
    "resenc_unet_l.openmind_swinunetr": ("AnonRes/ResEncL-OpenMind-SwinUNETR", ""),
    "primus_m.openmind_mae": (
        "MIC-DKFZ/PrimusM-OpenMind-MAE",
        "b866ac5f61d7e90d3a6cbb00a759ffc9d73beb5e63baa6b3cd654671ebc9a552",
    ),
    "primus_m.openmind_mg": ("AnonRes/PrimusM-OpenMind-MG", ""),
    "primus_m.openmind_vf": ("AnonRes/PrimusM-OpenMind-VF", ""),
    "primus_m.openmind_simmim": ("AnonRes/PrimusM-OpenMind-SimMIM", ""),
}
"""Wald et al., ICCV 2025: one repository per model, and the sha256 of its checkpoint."""
OPENMIND_VOLUMES = 114_570
OPENMIND_DATA = {
    "datasets": {"AnonRes/OpenMind": OPENMIND_VOLUMES},
    "modalities": {"mr": OPENMIND_VOLUMES},
    "regions": ("head",),
    "volumes": OPENMIND_VOLUMES,
}

SSL3D = {
    "resenc_unet_l.ssl3d_mae": ("ResEnc-L/DKFZ_MAE/DKFZ_MAE_ResEncL.pth", "the organizers' masked autoencoder"),
    "resenc_unet_l.ssl3d_voxcon": ("ResEnc-L/Datamen/Datamen_ResEncL.pth", "VoxCon of team Datamen"),
    "resenc_unet_l.ssl3d_voxmsd": ("ResEnc-L/HiLab/HiLab_ResEncL.pth", "Vox-MSD of team HiLab"),
}
"""Files of the SSL3D challenge (MICCAI 2025)."""

NNFOUNDATION = {
    "resenc_unet_l.nnfoundation": ("MIC-DKFZ/nnFoundationCNN", "ResEnc-L"),
    "primus_l.nnfoundation": ("MIC-DKFZ/nnFoundationViT", "Primus of 40 blocks, 674 M parameters"),
}
"""nnFoundation (arXiv 2609.26924)."""

TOTALSEGMENTATOR = {
    "plainconv_unet.totalsegmentator_3mm": (
        "Dataset297_TotalSegmentator_total_3mm_1559subj",
        "nnUNetTrainer_4000epochs_NoMirroring__nnUNetPlans__3d_fullres",
        "0baa2c8de2975600eb31801dd5c1825cd2b356f794498659cf3348714c073394",
        "117 structures in CT at 3 mm",
    ),
    "plainconv_unet.totalsegmentator_body": (
        "Dataset299_body_1559subj",
        "nnUNetTrainer__nnUNetPlans__3d_fullres",
        "d51d68e7f183fed966c122b0cb3dece7bebcdb685d28aeecc62202168e431674",
        "trunk and extremities in CT at 1.5 mm",
    ),
}
"""Wasserthal et al., Radiology: AI 2023: archive, model folder in it, its sha256, and segmented structures."""

MEDICALNET_LAYERS = (10, 18, 34, 50, 101, 152, 200)
MEDICALNET_23_LAYERS = (10, 18, 34, 50)
"""Those with a second file, trained on 23 data sets."""
NNSSL_FILES = ("checkpoint_final.pth", "adaptation_plan.json")


def public_checkpoints() -> Iterator[WeightsEntry]:
    """Yield an entry for each public checkpoint with a known location and license."""
    for name, (repository, digest) in OPENMIND.items():
        method = repository.rpartition("-")[2]
        text = f"OpenMind: {method} on {OPENMIND_VOLUMES:,} MR volumes of heads"
        yield _nnssl(name, repository, NNSSL_FILES, text, OPENMIND_DATA, digest)
    for name, (file, text) in SSL3D.items():
        yield _nnssl(
            name, "MIC-DKFZ/SSL3D-checkpoints", (file,), f"SSL3D challenge, on OpenMind: {text}", OPENMIND_DATA
        )
    for name, (repository, text) in NNFOUNDATION.items():
        text = f"nnFoundation: MAE on 2.1 M volumes of CT, MR and PET; {text}"
        yield replace(
            _nnssl(name, repository, NNSSL_FILES, text, {}, license="CC-BY-SA-4.0"), modalities=("ct", "mr", "pet")
        )
    yield WeightsEntry(
        name="genesis_unet.chest_ct",
        location="MrGiovanni/ModelsGenesis",
        license="other",
        license_link="https://github.com/MrGiovanni/ModelsGenesis/blob/master/LICENSE",
        description="Models Genesis: restoration on 623 chest CT; non-commercial use",
        importer="models_genesis",
        files=("Genesis_Chest_CT.pt",),
        modalities=("ct",),
        regions=("chest",),
    )
    yield from _medicalnet()
    yield from _totalsegmentator()
    yield from FOUNDATION


def _nnssl(
    name: str,
    repository: str,
    files: tuple[str, ...],
    text: str,
    data: Mapping[str, Any],
    digest: str = "",
    license: str = "CC-BY-4.0",
) -> WeightsEntry:
    return WeightsEntry(
        name=name,
        location=repository,
        license=license,
        description=text,
        importer="nnssl",
        files=files,
        sha256=digest,
        provenance=data,
    )


def _medicalnet() -> Iterator[WeightsEntry]:
    for layers in MEDICALNET_LAYERS:
        files = {"medicalnet": (f"resnet_{layers}.pth", "supervised segmentation of 8 data sets")}
        if layers in MEDICALNET_23_LAYERS:
            files["medicalnet_23"] = (f"resnet_{layers}_23dataset.pth", "supervised segmentation of 23 data sets")
        for tag, (file, text) in files.items():
            yield WeightsEntry(
                name=f"resnet3d_{layers}.{tag}",
                location=f"TencentMedicalNet/MedicalNet-Resnet{layers}",
                license="MIT",
                description=f"MedicalNet: {text}",
                importer="medicalnet",
                files=(file,),
                modalities=("ct", "mr"),
                regions=("head", "chest", "abdomen"),
            )


def _totalsegmentator() -> Iterator[WeightsEntry]:
    for name, (archive, folder, digest, text) in TOTALSEGMENTATOR.items():
        yield WeightsEntry(
            name=name,
            location=f"https://github.com/wasserth/TotalSegmentator/releases/download/v2.0.0-weights/{archive}.zip",
            license="Apache-2.0",
            description=f"TotalSegmentator, supervised: {text}",
            importer="nnunet",
            files=(folder,),
            sha256=digest,
            options={"fold": 0},
            modalities=("ct",),
            regions=("body",),
        )


@hookimpl
def register_weights(register: Callable[[WeightsEntry], None]) -> None:
    """Register all of :func:`public_checkpoints`."""
    for entry in public_checkpoints():
        register(entry)
