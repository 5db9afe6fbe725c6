"""Records as columns are those of the index, whether parsed or mapped."""

import gc
import os
import pickle

import numpy as np
import pytest

from umzoo.data.store import column_files as keeping
from umzoo.data.store import index, record_columns
from umzoo.data.store.column_files import columns_folder
from umzoo.data.store.index import keep_columns, kept_columns, read_index
from umzoo.data.store.reader import Store
from umzoo.data.store.record import VolumeRecord
from umzoo.data.store.record_columns import Records
from umzoo.errors import DataError


@pytest.fixture
def kept(tiny_store, monkeypatch):
    """The folder of a store whose columns are kept however few they are."""
    monkeypatch.setattr("umzoo.data.store.index.LEAST", 0)
    return tiny_store.path


def folders(path):
    return sorted(folder.name for folder in path.glob("*columns-*"))


def test_mapped_records_are_those_of_the_index(kept):
    parsed, _ = read_index(kept / "index.jsonl")
    first, second = Store(kept).records, Store(kept).records
    assert list(first) == list(second) == parsed and len(folders(kept)) == 1
    assert isinstance(second.column("shape"), np.memmap)
    assert second[-1] == parsed[-1] and second[1:3] == parsed[1:3]
    assert [second.points(i).tolist() for i in range(len(second))] == [list(map(list, r.points)) for r in parsed]
    copy = pickle.loads(pickle.dumps(second))
    assert copy == parsed and isinstance(copy.column("shape"), np.memmap)
    assert len(pickle.dumps(second)) < 1000


def test_a_changed_index_is_read_anew(kept):
    Store(kept)
    [before] = folders(kept)
    index = kept / "index.jsonl"
    lines = index.read_text().splitlines()
    index.write_text("".join(f"{line}\n" for line in lines[1:]))
    gc.collect()
    assert list(Store(kept).records) == read_index(index)[0]
    assert len(Store(kept)) == len(lines) - 1
    assert len(folders(kept)) == 1 and before not in folders(kept)


@pytest.mark.parametrize("harm", [None, "torn line", "damaged line", "damaged columns"])
def test_of_an_index_that_grew_only_the_new_lines_are_parsed(kept, monkeypatch, harm):
    file, parsed, real = kept / "index.jsonl", [], index._record
    monkeypatch.setattr(index, "_record", lambda line: parsed.append(line) or real(line))
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join(lines[:3]) + lines[3][: 40 * (harm == "torn line")])
    assert len(Store(kept)) == 3
    gc.collect()
    [before] = folders(kept)
    if harm == "damaged columns":
        (kept / before / "mean.npy").unlink()
    newer = lines[1].replace('"source":"a"', '"source":"z"')
    file.write_text("".join([*lines[:4], "{}\n" if harm == "damaged line" else "", *lines[4:], newer]))
    parsed.clear()
    if harm == "damaged line":
        with pytest.raises(DataError, match=r"index.jsonl line 5 is corrupted.*store compact"):
            Store(kept)
        return
    records = Store(kept).records
    assert len(parsed) == (7 if harm else 4)
    assert list(records) == read_index(file)[0] and len(records) == 6 and records[1].source == "z"
    assert list(Store(kept).records) == list(records)


def test_records_in_any_order_and_in_parts_are_sorted_and_the_last_of_an_id_counts(kept, monkeypatch):
    monkeypatch.setattr("umzoo.data.store.index.CHUNK", 2)
    index = kept / "index.jsonl"
    lines = index.read_text().splitlines()
    newer = lines[2].replace('"source":"a"', '"source":"z"').replace('"points":[[', '"points":[[1,2,3],[')
    index.write_text("".join(f"{line}\n" for line in [*reversed(lines), newer]) + lines[0][:50])
    records = Store(kept).records
    assert list(records) == read_index(index)[0]
    assert records[2].source == "z" and records.points(2)[0].tolist() == [1, 2, 3] and len(records) == len(lines)


def drop_a_line(path):
    index = path / "index.jsonl"
    index.write_text("".join(index.read_text().splitlines(keepends=True)[1:]))


def test_what_others_have_mapped_stays_until_they_end(kept):
    """A process that began with an older index hands it on, whoever has read a newer one meanwhile."""
    old = Store(kept).records
    sent = pickle.dumps(old)
    drop_a_line(kept)
    new = Store(kept).records
    assert len(new) == len(old) - 1 and len(folders(kept)) == 2
    assert pickle.loads(sent) == old
    del old
    gc.collect()
    drop_a_line(kept)
    assert len(Store(kept)) == len(new) - 1
    assert len(folders(kept)) == 2  # that of `new` and the newest
    with pytest.raises(DataError, match="start again"):
        pickle.loads(sent)


def test_an_index_that_changes_while_it_is_read_is_not_kept_under_its_old_name(kept, monkeypatch):
    real, read = record_columns.Records, index._read_columns

    def changing(file):
        found = read(file)
        drop_a_line(kept)
        return found

    monkeypatch.setattr(index, "_read_columns", changing)
    assert isinstance(Store(kept).records, real) and folders(kept) == []


def test_columns_that_are_being_deleted_are_none(kept):
    import fcntl

    Store(kept)
    gc.collect()
    folder = columns_folder(kept / "index.jsonl")
    held = os.open(folder, os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    assert kept_columns(folder) is None and len(Store(kept)) == 6
    os.close(held)
    assert kept_columns(folder) is not None


@pytest.mark.parametrize("harm", ["cut", "gone", "short"])
def test_damaged_columns_are_made_anew(kept, harm):
    whole = list(Store(kept).records)
    gc.collect()
    file = kept / folders(kept)[0] / "mean.npy"
    if harm == "short":
        np.save(file, np.zeros(1))
    elif harm == "gone":
        file.unlink()
    else:
        os.truncate(file, 100)
    assert list(Store(kept).records) == whole
    assert kept_columns(columns_folder(kept / "index.jsonl")) == whole


def test_lines_appended_while_the_index_is_read_are_not_lost(kept):
    index = kept / "index.jsonl"
    lines = index.read_text().splitlines(keepends=True)
    index.write_text("".join(lines[:-1]))
    folder, (records, _) = columns_folder(index), read_index(index)
    index.write_text("".join(lines))
    keep_columns(folder, records)
    assert len(Store(kept)) == len(lines)


def test_what_another_process_kept_is_taken_and_nothing_is_left_beside_it(kept):
    first = Store(kept).records
    again = keep_columns(columns_folder(kept / "index.jsonl"), read_index(kept / "index.jsonl")[0])
    assert again == first and len(folders(kept)) == 1


def test_columns_that_cannot_be_kept_cost_nothing_else(kept, monkeypatch):
    def refuse(target):
        raise PermissionError("read-only")

    monkeypatch.setattr(keeping, "written_whole", refuse)
    assert list(Store(kept).records) == read_index(kept / "index.jsonl")[0]
    assert folders(kept) == []


def test_small_stores_stay_tidy(tiny_store):
    assert len(Store(tiny_store.path)) and folders(tiny_store.path) == []


def test_some_of_the_volumes_in_another_order(kept):
    names = Store(kept).records.ids
    chosen = (names[3], names[0], names[2])
    records = Store(kept, only=chosen).records
    assert records.ids == tuple(record.id for record in records) == chosen
    assert np.array_equal(records.column("shape"), [record.shape for record in records])
    assert records.select([names[2]])[0].ids == (names[2],) and records.select([names[1]])[1] == [names[1]]
    assert pickle.loads(pickle.dumps(records)) == records
    with pytest.raises(DataError, match="1 of 2 expected volumes are missing, such as zz"):
        Store(kept, only=[names[0], "zz"])


def test_groups_and_texts(kept):
    records = Store(kept).records
    assert records.values("modality") == [record.modality for record in records]
    groups = records.groups("modality", "source")
    assert list(groups) == sorted({(record.modality, record.source) for record in records})
    for key, members in groups.items():
        assert members.tolist() == [i for i, it in enumerate(records) if (it.modality, it.source) == key]


def test_no_records():
    none = Records.of([])
    assert len(none) == 0 and list(none) == [] and none.groups("modality") == {} and none.ids == ()
    assert none.select(["a"])[1] == ["a"]


def test_texts_of_any_length_and_script(tiny_store):
    record = tiny_store.records[0].model_copy(update={"source": "Ärzte-山田", "contrast": "", "points": ()})
    assert list(Records.of([record])) == [record]
    assert isinstance(Records.of([record])[0], VolumeRecord)
