"""Checks sizes from headers before memory is allocated: small files may claim, or expand to, huge volumes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path

from umzoo.data.reading.geometry import Spacing
from umzoo.data.reading.refusal import Reason, Refused

SHARE = 0.9
"""Maximum share of the free memory for one volume."""
RATIO = 400
"""Maximum claimed bytes per byte of the files, beyond ``SMALL``; no scan is compressed that well."""
SMALL = 1 << 28
GROWTH = 64
"""Maximum factor on the number of voxels by resampling, beyond ``SMALL`` voxels."""
_GROUPS = "/sys/fs/cgroup/memory"
_LIMITS = (
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    (f"{_GROUPS}/memory.limit_in_bytes", f"{_GROUPS}/memory.usage_in_bytes"),
)


def free_memory() -> int:
    """Bytes of memory available to this process, by the machine and by its container."""
    import psutil

    free = int(psutil.virtual_memory().available)
    for limit, used in _LIMITS:
        try:
            free = min(free, int(Path(limit).read_text()) - int(Path(used).read_text()))
        except (OSError, ValueError):
            continue
    return max(free, 0)


def limit_memory() -> None:
    """Limit this process to the memory that is free now, so that it fails alone and with an error."""
    try:
        import resource
    except ImportError:
        return
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    wanted = max(free_memory(), 1 << 30)
    if hard == resource.RLIM_INFINITY or wanted < hard:
        resource.setrlimit(resource.RLIMIT_DATA, (wanted, hard))


def require_claim(claimed: int, files: Iterable[Path]) -> None:
    """Refuse a header that declares *claimed* bytes of voxels, more than its *files* or the memory can contain.

    Raises:
        Refused: with both sizes.
    """
    there = sum(file.stat().st_size for file in files)
    if claimed > SMALL and claimed > RATIO * there:
        raise Refused(Reason.UNREADABLE, f"its header declares {size(claimed)} of voxels, the file has {size(there)}")
    require_memory(claimed, f"its voxels take {size(claimed)}")


def require_growth(shape: Sequence[int], new: Sequence[int], spacing: Spacing | None) -> None:
    """Refuse to resample a volume of *shape* (D, H, W) to *new* at *spacing* if it grows too much.

    Raises:
        Refused: with the new size.
    """
    before, after = math.prod(shape), math.prod(new)
    at = "" if spacing is None else f"at {' x '.join(f'{mm:g}' for mm in spacing)} mm "
    what = f"{at}it would have {' x '.join(map(str, new))} voxels"
    if after > SMALL and after > GROWTH * before:
        detail = f"{what}, {after // before} times as many as before: use --spacing native"
        raise Refused(Reason.GEOMETRY, detail)
    if after != before:
        middle = shape[0] * new[1] * new[2]
        require_memory(max(4 * (middle + after), 6 * after), what)


def require_memory(needed: int, what: str) -> None:
    """Refuse anything that needs more than ``SHARE`` of the free memory; *what* describes it.

    Raises:
        Refused: with the size and the free memory.
    """
    free = free_memory()
    if needed > SHARE * free:
        detail = f"{what}: {size(needed)} of memory is needed, {size(free)} is free"
        raise Refused(Reason.MEMORY, detail)


def size(count: float) -> str:
    """*count* bytes with a unit, such as ``4.3 GiB``."""
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"
