"""What every writer of folders needs: flushing to disk, and sums of files."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def is_lfs_pointer(file: Path) -> bool:
    """Whether *file* holds the place of a file in Git LFS instead of the file, as clones without it have them."""
    try:
        if not file.is_file() or file.stat().st_size > 1024:
            return False
        return file.read_bytes().startswith(b"version https://git-lfs.github.com/")
    except OSError:
        return False


def fsync(path: Path) -> None:
    """Flush the file or folder *path* to disk; some systems (Windows) cannot flush folders, which is passed over."""
    if os.name == "nt" and path.is_dir():
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def fsync_folder(folder: Path) -> None:
    """Flush the files of *folder*, then *folder* itself."""
    for path in (*folder.iterdir(), folder):
        fsync(path)


@contextmanager
def written_whole(target: Path) -> Iterator[Path]:
    """Yield a name beside *target* to write a file or folder under; flushed to disk, it then takes the name *target*.

    If that fails, nothing of it is left, and what had the name before stays.
    """
    temporary = target.with_name(f".{target.name}.writing-{os.getpid()}")
    try:
        yield temporary
        if temporary.is_dir():
            fsync_folder(temporary)
        else:
            fsync(temporary)
        temporary.replace(target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        if temporary.is_file():
            temporary.unlink()


def sha256(file: Path) -> str:
    """Return the sha256 of *file*, in hexadecimal."""
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
