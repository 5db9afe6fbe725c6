"""Access to the Hub's client: token, cache and endpoint."""

from __future__ import annotations

import os
from dataclasses import dataclass
from glob import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from umzoo import __version__
from umzoo.errors import WeightsError
from umzoo.hub.token_masking import remember

if TYPE_CHECKING:
    from huggingface_hub import HfApi

PUBLIC_HUB = "https://huggingface.co"
LIBRARY: dict[str, Any] = {"library_name": "umzoo", "library_version": __version__}


@dataclass(frozen=True)
class Access:
    """The options of every call that may reach the Hub, named as in transformers.

    Attributes:
        token: a token; None uses ``HF_TOKEN`` or the token of ``hf auth login``, True requires one, False sends none.
        cache_dir: cache of the Hub; None is the default of ``huggingface_hub``.
        local_files_only: use cached files only, without a request.
        force_download: download cached files again.
        allow_private: also download files at web addresses from this machine and private networks, as with
            ``UMZOO_ALLOW_PRIVATE=1``.
    """

    token: str | bool | None = None
    cache_dir: Path | str | None = None
    local_files_only: bool = False
    force_download: bool = False
    allow_private: bool = False

    @property
    def credential(self) -> str | bool | None:
        """The token to pass to the client; it never appears in an error.

        The token saved by ``hf auth login`` belongs to huggingface.co: another endpoint gets a token only if the
        user gave one, as *token* or in ``HF_TOKEN``. If ``HF_TOKEN`` or *token* is empty, none is sent.

        Raises:
            WeightsError: if a token is required, and there is none for this endpoint.
        """
        from huggingface_hub import constants

        if isinstance(self.token, str):
            remember(self.token)
            return self.token.strip() or False
        set_here = next(
            (os.environ[name] for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN") if name in os.environ), None
        )
        if self.token is False or (self.token is None and set_here is not None and not set_here.strip()):
            return False
        if constants.ENDPOINT == PUBLIC_HUB or (set_here or "").strip():
            return self.token
        if self.token is True:
            raise WeightsError(f"no token for {constants.ENDPOINT}: give it, or set HF_TOKEN")
        return False

    @property
    def private(self) -> bool:
        """Whether files at web addresses may be downloaded from this machine and private networks."""
        return self.allow_private or os.environ.get("UMZOO_ALLOW_PRIVATE", "") not in ("", "0")

    @property
    def offline(self) -> bool:
        """Whether no request is allowed, by this call or by ``HF_HUB_OFFLINE``."""
        from huggingface_hub import constants

        return self.local_files_only or constants.HF_HUB_OFFLINE

    def api(self) -> HfApi:
        """Return the client with this user's token."""
        from huggingface_hub import HfApi

        return HfApi(token=self.credential, **LIBRARY)

    def download(self, repository: str, name: str, revision: str | None, again: bool = False) -> Path:
        """Return file *name* of *repository* in the cache, downloaded if it is missing, or always with *again*."""
        from huggingface_hub import hf_hub_download

        file = hf_hub_download(
            repository,
            name,
            revision=revision,
            token=self.credential,
            cache_dir=self.cache_dir,
            local_files_only=self.local_files_only,
            force_download=self.force_download or again,
            **LIBRARY,
        )
        return Path(file)

    def snapshot(self, repository: str, revision: str | None, inside: str = "") -> Path:
        """Return the folder of *repository* in the cache with all its files, downloaded if they are missing.

        With *inside*, only that folder of the repository is downloaded.
        """
        from huggingface_hub import snapshot_download

        folder = snapshot_download(
            repository,
            revision=revision,
            token=self.credential,
            cache_dir=self.cache_dir,
            local_files_only=self.local_files_only,
            force_download=self.force_download,
            allow_patterns=f"{escape(inside)}/*" if inside else None,
            **LIBRARY,
        )
        return Path(folder)

    def cached(self, repository: str, name: str, revision: str | None) -> Path | bool | None:
        """Return file *name* in the cache; False if the Hub reported that it does not exist, None if unknown."""
        from huggingface_hub import try_to_load_from_cache

        found = try_to_load_from_cache(repository, name, cache_dir=self.cache_dir, revision=revision)
        return found if found is None else Path(found) if isinstance(found, str) else False


DEFAULT = Access()
"""The defaults of ``huggingface_hub``."""
