import pytest
import torch

from umzoo.engine.checkpoint import latest_checkpoint, load_checkpoint, save_checkpoint
from umzoo.errors import CheckpointError


def state(step):
    return {"step": step, "model": {"weight": torch.full((4,), float(step))}, "ema": None}


def test_round_trip_and_keep(tmp_path):
    for step in (1, 2, 3):
        save_checkpoint(tmp_path, step, state(step), keep=2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-00000002", "step-00000003"]
    loaded = load_checkpoint(latest_checkpoint(tmp_path))
    assert loaded["step"] == 3
    assert torch.equal(loaded["model"]["weight"], torch.full((4,), 3.0))


def test_damage_is_found_and_the_earlier_checkpoint_named(tmp_path):
    for step in (1, 2):
        save_checkpoint(tmp_path, step, state(step), keep=2)
    file = tmp_path / "step-00000002" / "state.pt"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    with pytest.raises(CheckpointError, match="sha256.*step-00000001"):
        load_checkpoint(latest_checkpoint(tmp_path))


def test_a_full_disk_leaves_the_last_good_checkpoint(tmp_path, monkeypatch):
    save_checkpoint(tmp_path, 1, state(1), keep=2)

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(CheckpointError, match="No space left.*last good one is step-00000001"):
        save_checkpoint(tmp_path, 2, state(2), keep=2)
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000001"]
    assert load_checkpoint(latest_checkpoint(tmp_path))["step"] == 1


def test_what_a_killed_writer_left_is_ignored_and_swept(tmp_path):
    (tmp_path / ".writing-123").mkdir()
    (tmp_path / ".writing-123" / "state.pt").write_bytes(b"half")
    (tmp_path / "step-00000009").mkdir()
    assert latest_checkpoint(tmp_path) is None
    save_checkpoint(tmp_path, 9, state(9), keep=1)
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000009"]


def test_pickled_code_is_not_run(tmp_path):
    path = save_checkpoint(tmp_path, 1, state(1) | {"model": {"a": torch.zeros(1)}}, keep=1)
    import hashlib
    import json
    import os

    class Evil:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "evil"),)

    torch.save({"x": Evil()}, path / "state.pt")
    digest = hashlib.sha256((path / "state.pt").read_bytes()).hexdigest()
    (path / "meta.json").write_text(json.dumps({"format": 1, "step": 1, "sha256": digest}))
    with pytest.raises(CheckpointError):
        load_checkpoint(path)
    assert not (tmp_path / "evil").exists()
