"""A weights folder becomes a repository on the Hugging Face Hub."""

from __future__ import annotations

from pathlib import Path

from umzoo.errors import WeightsError
from umzoo.weights.io import FILES, MODEL, checked_file, read_info


def push_folder(folder: Path | str, repo_id: str, private: bool = True, message: str | None = None) -> str:
    """Upload the weights in *folder* to the Hub repository *repo_id*; return the URL of the commit.

    Raises:
        WeightsError: if the folder is incomplete or altered, states no licence, or the Hub refuses.
    """
    info = read_info(folder)
    checked_file(folder, MODEL)
    if info.licence in ("", "unknown"):
        raise WeightsError(f"{folder} states no licence: save or export it with one, such as licence='cc-by-4.0'")
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    api = HfApi()
    try:
        api.create_repo(repo_id, private=private, exist_ok=True)
        commit = api.upload_folder(
            repo_id=repo_id,
            folder_path=folder,
            allow_patterns=list(FILES),
            commit_message=message or f"Add {info.name}",
        )
    except (HfHubHTTPError, HFValidationError, OSError) as error:
        raise WeightsError(f"cannot push to {repo_id}: {' '.join(str(error).split())[:300]}") from error
    return str(commit.commit_url)
