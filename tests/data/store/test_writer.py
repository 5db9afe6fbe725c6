from __future__ import annotations

import numpy as np
import pytest

from umzoo.data.store.arrays import write_array
from umzoo.data.store.durable_files import LOCAL, JsonLines
from umzoo.data.store.places import array_file, array_files
from umzoo.data.store.reader import Store
from umzoo.data.store.record import VolumeRecord
from umzoo.data.store.writer import StoreWriter
from umzoo.errors import DataError
from umzoo.spec import InputSpec

SPEC = InputSpec(spacing=(1, 1, 1))


def record(name: str, modality: str = "ct") -> VolumeRecord:
    return VolumeRecord(
        id=name, modality=modality, modality_from="option", source="s", subject="x", shape=(9, 10, 11),
        spacing=(1, 1, 1), slope=1, intercept=0, window=(0, 1), mean=0, std=1,
    )  # fmt: skip


def add(writer: StoreWriter, name: str) -> np.ndarray:
    voxels = np.random.default_rng(0).integers(-999, 999, (9, 10, 11), np.int16)
    write_array(writer.path, name, voxels)
    writer.add(record(name))
    return voxels


def test_a_store_can_be_read_while_it_is_written(tmp_path):
    with StoreWriter(tmp_path / "store", SPEC) as writer:
        assert len(Store(writer.path)) == 0
        voxels = add(writer, "aa-ct")
        store = Store(writer.path)
        assert store.info.input == SPEC
        assert np.array_equal(store.read(0, (0, 0, 0), (9, 10, 11)), voxels)


def test_torn_line_temporary_files_and_orphans_are_cleaned(tmp_path):
    with StoreWriter(tmp_path, SPEC) as writer:
        add(writer, "aa-ct")
    with (tmp_path / "index.jsonl").open("a") as file:
        file.write('{"id": "bb')
    (tmp_path / "volumes" / "aa" / ".bb.b2nd.writing-7").write_bytes(b"half")
    (tmp_path / "volumes" / "cc-ct.b2nd").write_bytes(b"no index line")
    with StoreWriter(tmp_path, SPEC) as writer:
        add(writer, "dd-ct")
    assert [r.id for r in Store(tmp_path).records] == ["aa-ct", "dd-ct"]
    assert array_file(tmp_path, "aa-ct") == tmp_path / "volumes" / "aa" / "aa-ct.b2nd"
    assert sorted(file.name for file in array_files(tmp_path)) == ["aa-ct.b2nd", "dd-ct.b2nd"]


def test_another_input_spec_is_refused(tmp_path):
    StoreWriter(tmp_path, SPEC).__exit__()
    with pytest.raises(DataError, match=r"spacing \(1.0, 1.0, 1.0\), now None"):
        StoreWriter(tmp_path, InputSpec(spacing=None))


def test_only_stores_are_written_to(tmp_path):
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(DataError, match="is not a store"):
        StoreWriter(tmp_path, SPEC)
    assert sorted(f.name for f in tmp_path.iterdir()) == ["thesis.tex"]


def test_a_run_killed_before_store_json_is_continued(tmp_path):
    (tmp_path / "volumes").mkdir()
    (tmp_path / LOCAL).mkdir()
    (tmp_path / ".store.json.writing-9").write_text("{")
    StoreWriter(tmp_path, SPEC).__exit__()
    assert len(Store(tmp_path)) == 0


def test_two_writers_do_not_meet(tmp_path):
    with StoreWriter(tmp_path, SPEC), pytest.raises(DataError, match="another 'umzoo' command"):
        StoreWriter(tmp_path, SPEC)
    StoreWriter(tmp_path, SPEC).__exit__()


def test_settling_sorts_the_index_and_drops_what_is_not_in_it(tmp_path):
    with StoreWriter(tmp_path, SPEC) as writer:
        add(writer, "bb-ct")
        add(writer, "aa-ct")
        write_array(tmp_path, "aa-mr", np.zeros((9, 10, 11), np.int16))
        writer.add(record("aa-mr", "mr"))
        assert [r.id for r in Store(tmp_path).records] == ["aa-ct", "bb-ct"]
        writer.settle({"bb-ct": writer.records["bb-ct"], "aa-mr": record("aa-mr", "mr")})
        add(writer, "cc-ct")
    lines = (tmp_path / "index.jsonl").read_text().splitlines()
    assert [VolumeRecord.model_validate_json(line).id for line in lines] == ["aa-mr", "bb-ct", "cc-ct"]
    assert sorted(file.stem for file in array_files(tmp_path)) == ["aa-mr", "bb-ct", "cc-ct"]


def test_json_lines(tmp_path):
    lines = JsonLines(tmp_path / "new" / "x.jsonl")
    lines.append({"a": 1})
    lines.close()
    assert (tmp_path / "new" / "x.jsonl").read_text() == '{"a":1}\n'


def test_the_store_is_found_where_its_parts_are():
    import umzoo.data.store

    assert umzoo.data.store.Store is Store
    with pytest.raises(AttributeError, match="no attribute 'Stores'"):
        umzoo.data.store.Stores  # noqa: B018
