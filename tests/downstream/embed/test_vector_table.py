from __future__ import annotations

import numpy as np
import pytest

import umzoo
from umzoo.data.preparing.prepare import prepare
from umzoo.downstream.embed import vector_table as table
from umzoo.downstream.embed.config import EmbedConfig
from umzoo.downstream.embed.table_files import read_table
from umzoo.downstream.embed.vector_table import embed_scans
from umzoo.errors import ConfigError, DataError
from umzoo.scans.listing import list_scans
from umzoo.scans.load import input_of


@pytest.fixture
def model(weights):
    return umzoo.from_pretrained(weights)


def listed(model, *sources):
    return list_scans(sources, input_of(model))


@pytest.mark.parametrize("suffix", [".csv", ".npz", ".parquet"])
def test_a_table_has_a_row_for_each_scan_and_names_what_was_left_out(tmp_path, model, scans, suffix):
    if suffix != ".npz":
        pytest.importorskip("pandas")
    result = embed_scans(model, listed(model, scans), tmp_path / f"f{suffix}", EmbedConfig())
    assert result.rows == 3
    ((name, reason),) = result.skipped
    assert name.endswith("damaged.nii.gz")
    assert "unreadable" in reason
    found = read_table(tmp_path / f"f{suffix}")
    assert found.scans == [f"scans/p{i}.nii.gz" for i in range(3)]
    assert len(set(found.subjects)) == 3
    assert found.regions == [""] * 3
    assert found.modalities == ["ct"] * 3 and len(set(found.sources)) == 1
    alone = umzoo.embed(model, umzoo.load_scan(scans / "p1.nii.gz", model)).vector
    assert np.allclose(found.features[1], alone, atol=1e-6)
    assert not list(tmp_path.glob("*.partial"))


def test_an_interrupted_table_is_the_same_bytes(tmp_path, model, scans, monkeypatch):
    whole, cut = tmp_path / "whole.csv", tmp_path / "cut.csv"
    embed_scans(model, listed(model, scans), whole, EmbedConfig())
    calls = []

    def failing(*arguments, **options):
        calls.append(arguments)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return umzoo.embed(*arguments, **options)

    monkeypatch.setattr(table, "embed", failing)
    with pytest.raises(KeyboardInterrupt):
        embed_scans(model, listed(model, scans), cut, EmbedConfig())
    assert not cut.exists()
    with pytest.raises(ConfigError, match="other weights or options"):
        embed_scans(model, listed(model, scans), cut, EmbedConfig(pooling="max"))
    embed_scans(model, listed(model, scans), cut, EmbedConfig())
    assert len(calls) == 2 + 2, "the first scan is not embedded again, the damaged one is not a scan of the loop"
    assert cut.read_bytes() == whole.read_bytes()


def test_a_store_gives_the_vectors_of_its_scans(tmp_path, model, scans):
    spacing = input_of(model).spacing
    prepare([scans], tmp_path / "store", spacing=spacing, workers=0)
    embed_scans(model, listed(model, tmp_path / "store"), tmp_path / "store.npz", EmbedConfig())
    embed_scans(model, listed(model, scans), tmp_path / "files.npz", EmbedConfig())
    stored, files = (read_table(tmp_path / f"{name}.npz").features for name in ("store", "files"))
    assert np.array_equal(np.sort(stored, axis=0), np.sort(files, axis=0))
    prepare([scans], tmp_path / "other", spacing=(2, 2, 2), workers=0)
    with pytest.raises(DataError, match="prepared with other settings"):
        listed(model, tmp_path / "other")


def test_names_that_say_nothing_are_refused(tmp_path, model, scans):
    with pytest.raises(ConfigError, match="ends in"):
        embed_scans(model, listed(model, scans), tmp_path / "f.xlsx", EmbedConfig())
    with pytest.raises(ConfigError, match="two scans have the same name"):
        (tmp_path / "b" / "scans").mkdir(parents=True)
        (tmp_path / "b" / "scans" / "p0.nii.gz").write_bytes((scans / "p0.nii.gz").read_bytes())
        listed(model, scans, tmp_path / "b" / "scans")


def test_the_command(tmp_path, weights, scans, run):
    out = run("embed", weights, scans, "--out", tmp_path / "f.csv", "--pooling", "mean+max", "--cpu")
    assert "3 vectors" in out
    header, *rows = (tmp_path / "f.csv").read_text().splitlines()
    assert header.startswith("scan,subject,region,modality,source,f0,")
    assert len(rows) == 3
    again = run("embed", weights, scans / "p0.nii.gz", "--out", tmp_path / "maps", "--dense", "--cpu")
    assert "1 maps" in again
