"""Damaged and hostile files for every reader of what strangers send, by bytes and by structure.

Each input must be read, or refused in one line: no other exception, no crash, nothing written beside the input, bounded
time. Inputs that ended a process which was made to read them are refused, and counted as such.

``python benchmarks/fuzz.py --inputs 100000 --out fuzz.json``; tests run a short version.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import io
import json
import pickle
import random
import shutil
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import torch
from pydicom import dcmwrite, uid
from pydicom.dataset import Dataset, FileMetaDataset
from safetensors.torch import save

from umzoo.data.preparing.manifest import read_manifest
from umzoo.data.reading.scan_source import ScanSource
from umzoo.data.reading.volume import read_grid
from umzoo.engine.checkpoint import load_checkpoint
from umzoo.engine.log import read_metrics
from umzoo.engine.recipe import find_recipe, load_recipe
from umzoo.errors import UmzooError
from umzoo.files import sha256
from umzoo.hub.bundles.manifest import MANIFEST, Manifest
from umzoo.hub.bundles.unpack import read_bundle
from umzoo.hub.pulling.addresses import place_of_address
from umzoo.hub.pulling.references import parse
from umzoo.pickles.client import PlainPickles, UnreadableError
from umzoo.scans.sources import open_source
from umzoo.spec import ComponentSpec, InputSpec
from umzoo.weights.folder.info import WeightsInfo
from umzoo.weights.folder.safetensors_header import read_header
from umzoo.weights.folder.strict_json import strict_json
from umzoo.weights.importers.pickled import read_pickled
from umzoo.weights.networks.nnunet_architecture import (
    architecture_of,
    backbone_of_plan,
    configuration_of,
    plan_of_backbone,
)

ODD: tuple[Any, ...] = (
    *(None, True, -1, 0, 1 << 31, 1 << 63, 1 << 200, 1e308, -0.0),
    *("", "x" * 5000, "../../x", "/etc/passwd", "\x1b]0;x\x07", "\ud800", "\0", "os.system"),
    *([], {}, [[]], {"": {}}, [1] * 300),
)
PICKLES = PlainPickles()
ENDED = ("the process that read it", "made its reader crash", "takes too long", "reading it took")


@dataclass(frozen=True)
class Target:
    """A reader: what it gets (files by their content), how, how often beside the others, and whether it is JSON."""

    seeds: tuple[bytes, ...]
    read: Callable[[bytes, Path], Any]
    share: int
    structured: bool = False


def mutated(content: bytes, rng: random.Random) -> bytes:
    """Return *content* with a few bytes flipped, cut, doubled, or replaced by extreme numbers."""
    data = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 4, 16))):
        at, length = rng.randrange(len(data) + 1), rng.choice((1, 2, 4, 8, 64))
        kind = rng.randrange(6)
        if kind == 0 and at < len(data):
            data[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            del data[at : at + length]
        elif kind == 2:
            data[at:at] = data[at : at + length] * rng.choice((1, 2, 50))
        elif kind == 3:
            data[at : at + length] = rng.choice((b"\xff", b"\0", b"\x7f", b"9")) * length
        elif kind == 4:
            data[at:at] = rng.randbytes(length)
        else:
            del data[at + rng.randrange(2) * len(data) :]
    return bytes(data)


def restructured(value: Any, rng: random.Random) -> Any:
    """Return the JSON *value* with one of its parts replaced, removed, doubled or nested."""
    if not isinstance(value, (dict, list)) or not value or rng.random() < 0.15:
        odd = rng.choice(ODD)
        return _nested(value, rng.choice((3, 50, 400))) if rng.random() < 0.1 else odd
    keys = list(value) if isinstance(value, dict) else list(range(len(value)))
    key, changed = rng.choice(keys), value.copy()
    kind = rng.random()
    if kind < 0.1:
        del changed[key]
    elif kind < 0.2 and isinstance(changed, dict):
        changed[str(rng.choice(ODD))[:100]] = changed[key]
    else:
        changed[key] = restructured(changed[key], rng)
    return changed


def _nested(value: Any, depth: int) -> Any:
    for _ in range(depth):
        value = [value]
    return value


def fuzz(inputs: int, seed: int, seconds: float, folder: Path) -> dict[str, Any]:
    """Run *inputs* inputs, or as many as fit into *seconds*; return how many, the slowest, and what went wrong."""
    targets = make_targets(folder)
    counts = {name: {"read": 0, "refused": 0, "failed": 0, "ended a process": 0, "slowest": 0.0} for name in targets}
    rng, begun = random.Random(seed), time.monotonic()
    failures: list[dict[str, str]] = []
    ended: list[dict[str, str]] = []
    names = [name for name, target in targets.items() for _ in range(target.share)]
    before = _listing(folder)
    for number in range(inputs):
        if time.monotonic() - begun > seconds:
            break
        name = names[number % len(names)]
        content, start = _input(targets[name], rng), time.monotonic()
        try:
            targets[name].read(content, folder / "work")
            counts[name]["read"] += 1
        except (UmzooError, UnreadableError) as error:
            counts[name]["refused"] += 1
            if any(sign in str(error) for sign in ENDED):
                counts[name]["ended a process"] += 1
                ended.append({"target": name, "error": str(error), "content": content.hex()[:4000]})
            if "\n" in str(error):
                failures.append({"target": name, "error": "more than one line", "content": content.hex()[:4000]})
        except Exception as error:  # noqa: BLE001 - this is what is looked for
            counts[name]["failed"] += 1
            failures.append(
                {"target": name, "error": f"{type(error).__name__}: {error}"[:300], "content": content.hex()[:4000]}
            )
        counts[name]["slowest"] = max(counts[name]["slowest"], round(time.monotonic() - start, 3))
    result: dict[str, Any] = {"inputs": sum(it["read"] + it["refused"] + it["failed"] for it in counts.values())}
    result |= {"seed": seed, "seconds": round(time.monotonic() - begun, 1), "peak_mib": _peak(), "targets": counts}
    return result | {"failures": failures, "ended": ended, "written": sorted(_listing(folder) - before)}


def _input(target: Target, rng: random.Random) -> bytes:
    content = rng.choice(target.seeds)
    if target.structured and rng.random() < 0.6:
        return json.dumps(restructured(json.loads(content), rng)).encode()
    return mutated(content, rng)


def _listing(folder: Path) -> set[str]:
    return {
        str(path.relative_to(folder)) for path in folder.rglob("*") if "work" not in path.relative_to(folder).parts[:1]
    }


def _peak() -> int:
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10


def make_targets(folder: Path) -> dict[str, Target]:
    """Return all readers, with seeds that they accept."""
    (folder / "work").mkdir(exist_ok=True)
    plain = [pickle.dumps(_properties(), protocol) for protocol in (2, 4, 5)]
    tensors = tuple(_torch_file(zipped) for zipped in (True, False))
    info = WeightsInfo(name="genesis_unet.x", backbone=ComponentSpec.parse({"name": "genesis_unet"}), input=InputSpec())
    config = info.model_dump_json(by_alias=True).encode()
    metrics = b'{"step": 1, "loss": 0.5}\n{"step": 2, "loss": null}\n'
    return {
        "safetensors": Target((save({"a": torch.ones(2, 3), "b": torch.ones(1)}),), _safetensors, 10),
        "config": Target((config,), _config, 10, True),
        "plans": Target((json.dumps(_plans()).encode(),), _plan, 10, True),
        "pickle": Target(tuple(plain), _pickle, 10),
        "checkpoint": Target(tensors, _checkpoint, 1),
        "bundle": Target((_bundle(info),), _unbundle, 5),
        "metrics": Target((metrics,), _file("metrics.jsonl", read_metrics), 5),
        "recipe": Target((find_recipe("universal_tiny").read_bytes(),), _file("r.toml", load_recipe), 2),
        "reference": Target((b"org/name@main", b"https://host/x/y.pth", b"hf-hub:a/b", b"./a"), _reference, 10),
        "run": Target(tensors, _state, 1),
        "scan": Target(_scans(), _scan, 10),
        "nifti": Target(_niftis(), _file("v.nii.gz", _open), 5),
        "dicom": Target(_dicoms(), _file("v.dcm", open_source), 5),
        "manifest": Target((b"file,modality,subject\nct/1.nrrd,CT,a\n",), _file("m.csv", read_manifest), 5),
        "manifest lines": Target(
            (b'{"file": "mr/1.nii", "modality": "mr"}',), _file("m.jsonl", read_manifest), 5, True
        ),
    }


def _properties() -> dict[str, Any]:
    return {"spacing": [1.0, 2.0], "rows": {1: np.arange(12).reshape(3, 4)}, "n": np.float32(2), "t": (1, "x", None)}


def _torch_file(zipped: bool) -> bytes:
    stream = io.BytesIO()
    content = {
        "model": {"w": torch.arange(6.0).view(2, 3).t()},
        "step": 1,
        "n": np.float64(2),
        "x": argparse.Namespace(),
    }
    torch.save(content, stream, _use_new_zipfile_serialization=zipped)
    return stream.getvalue()


def _plans() -> dict[str, Any]:
    options = {
        "n_stages": 4,
        "features_per_stage": [4, 8, 8, 8],
        "kernel_sizes": [[3] * 3] * 4,
        "n_blocks_per_stage": [1] * 4,
    }
    backbone = ComponentSpec.parse({"name": "resenc_unet_s", **options, "strides": [[1] * 3, *[[2] * 3] * 3]})
    architecture = plan_of_backbone(backbone)
    return {
        "configurations": {
            "base": {"architecture": architecture},
            "3d": {"inherits_from": "base", "patch_size": [8] * 3},
        }
    }


def _scans() -> tuple[bytes, ...]:
    """A volume of 4 x 4 x 4 voxels as NRRD, in one file and compressed, and as MetaImage."""
    voxels = np.arange(64, dtype=np.int16).tobytes()
    nrrd = "NRRD0004\ntype: short\ndimension: 3\nsizes: 4 4 4\nendian: little\nspace: left-posterior-superior\n"
    nrrd += "space directions: (1,0,0) (0,1,0) (0,0,2)\nspace origin: (0,0,0)\nencoding: "
    meta = "ObjectType = Image\nNDims = 3\nDimSize = 4 4 4\nElementType = MET_SHORT\nElementSpacing = 1 1 2\n"
    meta += "Offset = 0 0 0\nTransformMatrix = 1 0 0 0 1 0 0 0 1\nBinaryDataByteOrderMSB = False\n"
    meta += "ElementDataFile = LOCAL\n"
    packed = (nrrd + "gzip\n\n").encode() + gzip.compress(voxels, mtime=0)
    return (nrrd + "raw\n\n").encode() + voxels, packed, meta.encode() + voxels


def _niftis() -> tuple[bytes, ...]:
    """The same volume as NIfTI, plain and compressed; its two matrices disagree, so ITK is asked what it takes."""
    image = nibabel.Nifti1Image(np.arange(64, dtype=np.int16).reshape(4, 4, 4), np.diag([1.0, 1, 2, 1]))
    image.header.set_qform(np.diag([1.0, -1, 2, 1]), 1)
    content = image.to_bytes()
    return content, gzip.compress(content, mtime=0)


def _dicoms() -> tuple[bytes, ...]:
    """Four frames of 4 x 4 pixels, explicit, deflated, and run-length encoded."""
    contents = []
    for syntax in (uid.ExplicitVRLittleEndian, uid.DeflatedExplicitVRLittleEndian, uid.RLELossless):
        stream, data = io.BytesIO(), Dataset()
        data.file_meta = FileMetaDataset()
        data.file_meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian if syntax == uid.RLELossless else syntax
        data.SOPClassUID, data.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.20", "1.2"
        data.Modality, data.PatientID, data.SeriesInstanceUID = "NM", "a", "1.3"
        data.NumberOfFrames, data.Rows, data.Columns, data.PixelSpacing = 4, 4, 4, [1, 1]
        data.ImagePositionPatient, data.ImageOrientationPatient = [0, 0, 0], [1, 0, 0, 0, 1, 0]
        data.SpacingBetweenSlices, data.SliceVector = 2, [1, 2, 3, 4]
        data.SamplesPerPixel, data.PhotometricInterpretation, data.PixelRepresentation = 1, "MONOCHROME2", 0
        data.BitsAllocated, data.BitsStored, data.HighBit = 16, 16, 15
        data.PixelData = np.arange(64, dtype=np.uint16).tobytes()
        if syntax == uid.RLELossless:
            data.compress(syntax, generate_instance_uid=False)
        dcmwrite(stream, data, enforce_file_format=True)
        contents.append(stream.getvalue())
    return tuple(contents)


def _bundle(info: WeightsInfo) -> bytes:
    stream, tensors = io.BytesIO(), save({"a": torch.ones(2)})
    info = info.model_copy(update={"files": {"model.safetensors": _sum(tensors)}})
    files = {"config.json": info.model_dump_json(by_alias=True).encode(), "model.safetensors": tensors}
    listed = {name: {"size": len(content), "sha256": _sum(content)} for name, content in files.items()}
    manifest = Manifest.parse({"name": info.name, "license": "mit", "requires": {}, "files": listed})
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for name, content in ((MANIFEST, manifest.model_dump_json().encode()), *files.items()):
            header = tarfile.TarInfo(name)
            header.size = len(content)
            tar.addfile(header, io.BytesIO(content))
    return stream.getvalue()


def _sum(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _safetensors(content: bytes, _: Path) -> None:
    try:
        read_header(io.BytesIO(content), len(content))
    except ValueError as error:
        raise UmzooError(str(error)) from None


def _config(content: bytes, _: Path) -> None:
    try:
        value = strict_json(content)
    except ValueError as error:
        raise UmzooError(str(error)) from None
    WeightsInfo.parse(value if isinstance(value, dict) else {})


def _plan(content: bytes, _: Path) -> None:
    try:
        plans = strict_json(content)
    except ValueError as error:
        raise UmzooError(str(error)) from None
    architecture = architecture_of(configuration_of(plans if isinstance(plans, dict) else {}, "3d"))
    if "nnunetv2" in sys.modules:
        from umzoo.nnunet.planning.allowed_networks import require_listed

        require_listed(architecture)
    backbone_of_plan(architecture)


def _file(name: str, read: Callable[[Path], Any]) -> Callable[[bytes, Path], Any]:
    def run(content: bytes, folder: Path) -> Any:
        (folder / name).write_bytes(content)
        return read(folder / name)

    return run


_pickle = _file("case.pkl", PICKLES.read)
_checkpoint = _file("c.pth", read_pickled)


def _scan(content: bytes, folder: Path) -> None:
    """Read it as NRRD or MetaImage, by its first bytes; the file is the only one that its header can name."""
    file = folder / ("v.nrrd" if content.startswith(b"NR") else "v.mha")
    file.write_bytes(content)
    _open(file)


def _open(file: Path) -> None:
    read_grid(ScanSource((str(file),), "v", "", ""))


def _unbundle(content: bytes, folder: Path) -> None:
    (folder / "b.tar").write_bytes(content)
    shutil.rmtree(folder / "unpacked", ignore_errors=True)
    read_bundle(folder / "b.tar", folder / "unpacked")


def _reference(content: bytes, _: Path) -> None:
    text = content.decode("utf-8", "surrogateescape")
    if text.startswith(("http://", "https://")):
        place_of_address(text)
    else:
        parse(text)


def _state(content: bytes, folder: Path) -> None:
    place = folder / "checkpoints" / "step-00000001"
    place.mkdir(parents=True, exist_ok=True)
    (place / "state.pt").write_bytes(content)
    meta = {"format": 1, "step": 1, "sha256": sha256(place / "state.pt")}
    (place / "meta.json").write_text(json.dumps(meta))
    load_checkpoint(place)


def main() -> None:
    """Run it and write what came of it."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--inputs", type=int, default=100_000)
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--seconds", type=float, default=1e9)
    options.add_argument("--out", type=Path)
    asked = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = fuzz(asked.inputs, asked.seed, asked.seconds, Path(folder))
    text = json.dumps(result, indent=1)
    if asked.out:
        asked.out.write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
