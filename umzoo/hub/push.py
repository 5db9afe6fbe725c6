"""A weights folder becomes a repository on the Hugging Face Hub."""

from __future__ import annotations

from pathlib import Path

from umzoo import __version__
from umzoo.errors import WeightsError
from umzoo.hub.errors import one_line
from umzoo.weights.io import FILES, MODEL, checked_file, read_info


def push_folder(folder: Path | str, repo_id: str, private: bool = True, message: str | None = None) -> str:
    """Upload the weights in *folder* to the Hub repository *repo_id* in one commit; return its URL.

    Files of earlier weights that *folder* lacks are deleted there; those of other names stay.

    Raises:
        WeightsError: if the folder is incomplete or altered, states no licence, or the Hub refuses.
    """
    info = read_info(folder)
    checked_file(folder, MODEL)
    if info.licence in ("", "unknown"):
        raise WeightsError(f"{info.name} states no licence: save or export it with one, such as licence='cc-by-4.0'")
    from huggingface_hub import HfApi

    api = HfApi(library_name="umzoo", library_version=__version__)
    with one_line(f"cannot push to {repo_id}"):
        api.create_repo(repo_id, private=private, exist_ok=True)
        commit = api.upload_folder(
            repo_id=repo_id,
            folder_path=folder,
            allow_patterns=list(FILES),
            delete_patterns=list(FILES),
            commit_message=message or f"Add {info.name}",
        )
    return str(commit.commit_url)
