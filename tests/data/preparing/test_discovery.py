from __future__ import annotations

import json
import os

import pytest

from umzoo.data.preparing.discovery import discover
from umzoo.data.reading.dicom import read_headers
from umzoo.data.reading.modality import Label, parse_options
from umzoo.errors import DataError


def find(*sources, options=()):
    return discover([str(source) for source in sources], parse_options(options), read_headers)


def names(found):
    return sorted(scan.name for scan in found.scans)


@pytest.fixture
def raw(tmp_path):
    """An nnU-Net raw data set of two channels: two cases, one label each."""
    root = tmp_path / "Dataset007_Brain"
    for case in ("a_1", "b_2"):
        for channel in range(2):
            put(root / "imagesTr" / f"{case}_{channel:04d}.nii.gz")
        put(root / "labelsTr" / f"{case}.nii.gz")
    channels = {"channel_names": {"0": "T1w", "1": "CT"}, "name": "Brain", "file_ending": ".nii.gz"}
    (root / "dataset.json").write_text(json.dumps(channels))
    return root


def put(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x")
    return path


@pytest.mark.parametrize("inner", ["", "imagesTr"])
def test_nnunet_raw(raw, inner):
    found = find(raw / inner)
    by_name = {scan.name.rsplit("/", 1)[-1]: scan for scan in found.scans}
    assert len(by_name) == 4
    assert by_name["a_1_0000.nii.gz"].labels == (Label("mr", "t1w", "dataset.json"),)
    assert by_name["a_1_0001.nii.gz"].labels == (Label("ct", "", "dataset.json"),)
    assert {scan.source for scan in found.scans} == {"Brain"}
    assert {scan.subject for scan in found.scans} == {"Brain/a_1", "Brain/b_2"}
    assert [outcome.reason for outcome in found.refused] == ([] if inner else ["label map"] * 2)


def test_msd_4d_has_one_label_per_frame(tmp_path):
    put(tmp_path / "Task01" / "imagesTr" / "BRATS_001.nii.gz")
    (tmp_path / "Task01" / "dataset.json").write_text(json.dumps({"modality": {"0": "FLAIR", "1": "T1w", "2": "x"}}))
    (scan,) = find(tmp_path).scans
    assert scan.source == "Task01" and scan.subject == "Task01/BRATS_001"
    assert [scan.label(frame, 3).contrast for frame in range(3)] == ["flair", "t1w", ""]
    assert scan.label(0, 5) is None


def test_bids(tmp_path):
    root = tmp_path / "bids"
    put(root / "sub-01" / "anat" / "sub-01_ses-1_T2w.nii.gz")
    put(root / "sub-01" / "dwi" / "sub-01_dwi.nii.gz")
    put(root / "sub-02" / "pet" / "sub-02_pet.nii.gz")
    put(root / "derivatives" / "sub-01_dseg.nii.gz")
    put(root / "sub-01" / "anat" / "sub-01_T2w.json")
    (root / "dataset_description.json").write_text(json.dumps({"Name": "Three"}))
    found = find(root)
    labels = {scan.subject: scan.labels for scan in found.scans if "dwi" not in scan.name}
    assert labels == {"Three/sub-01": (Label("mr", "t2w", "bids"),), "Three/sub-02": (Label("pt", "", "bids"),)}
    assert [outcome.reason for outcome in found.refused] == ["label map"]
    assert found.ignored == {".json": 2}


def test_loose_files_links_and_hidden_files(tmp_path):
    put(tmp_path / "set" / "deep" / "a.nii.gz")
    put(tmp_path / "set" / "b.mha")
    put(tmp_path / "set" / "._b.mha")
    put(tmp_path / "set" / "c.txt")
    (tmp_path / "set" / "loop").symlink_to(tmp_path / "set")
    (tmp_path / "set" / "again.mha").symlink_to(tmp_path / "set" / "b.mha")
    found = find(tmp_path / "set", tmp_path / "set" / "deep", f"named={tmp_path / 'set' / 'deep'}")
    assert names(found) == ["set/again.mha", "set/deep/a.nii.gz"]
    assert found.ignored == {"hidden": 1, ".txt": 1}
    assert {scan.source for scan in found.scans} == {"set"}


def test_a_source_can_be_named(raw):
    assert {scan.source for scan in find(f"study={raw}").scans} == {"study"}
    assert find(f"study={raw}").scans[0].labels[0].origin == "dataset.json"


def test_option_overrides_and_matches(raw):
    found = find(raw, options=["pt=**/imagesTr/*_0001*"])
    assert {scan.labels[0].modality for scan in found.scans if "_0001" in scan.name} == {"pt"}
    assert {scan.labels[0].modality for scan in found.scans if "_0000" in scan.name} == {"mr"}


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_manifest(tmp_path, make_scan, write_dicom, kind):
    put(tmp_path / "scans" / "a.nii.gz")
    put(tmp_path / "scans" / "seg.nii.gz")
    write_dicom(tmp_path / "series", make_scan(ct=True), modality="MR")
    rows = [
        {"file": "scans/a.nii.gz", "modality": "MRI", "contrast": "T1w", "subject": "p1", "source": "trial"},
        {"file": "scans/seg.nii.gz", "role": "label"},
        {"file": "series", "modality": "CT", "subject": "p1"},
        {"file": "scans/absent.mha", "modality": "CT"},
        {"file": "scans/absent.txt", "modality": "CT"},
    ]
    path = tmp_path / f"list.{kind}"
    if kind == "jsonl":
        path.write_text("\n".join(map(json.dumps, rows)))
    else:
        keys = ("file", "role", "modality", "contrast", "subject", "source")
        path.write_text("\n".join(",".join(row.get(key, "") for key in keys) for row in rows))
        path.write_text(",".join(keys) + "\n" + path.read_text())
    found = find(path)
    by_name = {scan.name: scan for scan in found.scans}
    file, series = by_name["scans/a.nii.gz"], next(scan for scan in found.scans if scan.dicom)
    assert (file.source, file.subject, file.labels) == ("trial", "p1", (Label("mr", "t1w", "manifest"),))
    assert (series.source, series.subject, series.labels) == ("list", "p1", (Label("ct", "", "manifest"),))
    assert sorted(outcome.reason for outcome in found.refused) == ["label map", "unreadable", "unreadable"]
    assert {outcome.detail for outcome in found.refused if outcome.reason == "unreadable"} == {"no such file"}


def test_manifest_without_files_is_an_error(tmp_path):
    (tmp_path / "bad.csv").write_text("name,other\nx,y\n")
    with pytest.raises(DataError, match="line 2 has no 'file'"):
        find(tmp_path / "bad.csv")


def test_absent_source(tmp_path):
    with pytest.raises(DataError, match="does not exist: expected a folder"):
        find(tmp_path / "absent")


def test_dicom_tag_and_patient(tmp_path, make_scan, write_dicom):
    write_dicom(tmp_path / "a" / "b", make_scan(ct=True), patient="Doe^Jane")
    (scan,) = find(tmp_path / "a").scans
    assert scan.labels == (Label("ct", "", "dicom"),) and scan.dicom
    assert scan.subject == "Doe^Jane" and len(scan.files) == 20
    assert scan.name == "a/b [000.dcm + 19]"


def test_pipes_devices_and_links_are_told_and_never_opened(tmp_path):
    folder = tmp_path / "set"
    put(folder / "a.nii.gz")
    os.mkfifo(folder / "b.nii.gz")
    os.mkfifo(folder / "pipe")
    os.mkfifo(folder / "dataset.json")
    (folder / "c.mha").symlink_to("c.mha")
    (folder / "d.nrrd").symlink_to(".git/annex/objects/x")
    (folder / "loop").symlink_to("loop")
    found = find(folder)
    assert names(found) == ["set/a.nii.gz"]
    told = {outcome.name: outcome.detail for outcome in found.refused}
    assert told.keys() == {"set/b.nii.gz", "set/c.mha", "set/d.nrrd", "set/dataset.json"}
    assert "named pipe" in told["set/b.nii.gz"] and "itself" in told["set/c.mha"] and "fetch" in told["set/d.nrrd"]
    assert found.ignored == {"a named pipe": 2, "a link that points to itself": 1}


def test_a_folder_that_cannot_be_read_is_told(tmp_path, monkeypatch):
    put(tmp_path / "set" / "a.nii.gz")
    put(tmp_path / "set" / "closed" / "b.nii.gz")
    scandir = os.scandir

    def closed(path):
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr("os.scandir", closed)
    found = find(tmp_path / "set")
    assert names(found) == ["set/a.nii.gz"]
    (outcome,) = found.refused
    assert outcome.name == "set/closed" and "make it readable" in outcome.detail


@pytest.mark.parametrize(
    "name, content",
    [
        ("deep.jsonl", "[" * 200_000),
        ("torn.jsonl", '{"file": "a.nii.gz"}\n{"file": '),
        ("latin.csv", b"file\nM\xfcller.nii.gz\n"),
        ("wrong.csv", "name\nx\n"),
        ("huge.csv", "file\n" + "x" * 200_000),
        ("empty.csv", ""),
        ("heading.csv", "file,modality\n"),
    ],
)
def test_a_malformed_manifest_costs_itself_only(tmp_path, name, content):
    put(tmp_path / "set" / "a.nii.gz")
    (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    found = find(tmp_path / name, tmp_path / "set")
    assert names(found) == ["set/a.nii.gz"]
    (outcome,) = found.refused
    assert outcome.name == name and outcome.reason == "unreadable" and str(tmp_path) not in outcome.detail


def test_names_no_file_can_have_cost_their_row_only(tmp_path):
    put(tmp_path / "a.nii.gz")
    rows = [{"file": name} for name in ("b\0.nii.gz", "\ud800.nii.gz", "d/" * 3000, "c" * 300, "a.nii.gz")]
    (tmp_path / "list.jsonl").write_text("\n".join(map(json.dumps, rows)))
    found = find(tmp_path / "list.jsonl")
    assert names(found) == ["a.nii.gz"] and len(found.refused) == 4


def test_what_is_no_scan_in_a_listed_folder_is_counted(tmp_path):
    put(tmp_path / "set" / "a.nii.gz")
    (tmp_path / "set" / "notes.txt").write_text("x")
    (tmp_path / "list.csv").write_text("file\nset\n")
    found = find(tmp_path / "list.csv")
    assert names(found) == ["set/a.nii.gz"] and not found.refused and found.ignored == {".txt": 1}


def test_a_malformed_description_costs_itself_only(raw):
    (raw / "dataset.json").write_text('{"channel_names": ' + "[" * 100_000)
    found = find(raw)
    assert len(found.scans) == 6
    (outcome,) = found.refused
    assert outcome.name == "Dataset007_Brain/dataset.json" and "nested too deeply" in outcome.detail


def test_only_names_the_user_gave_are_marked_so(tmp_path, raw):
    put(tmp_path / "Mueller_Joerg_19610203" / "a.nii.gz")
    put(tmp_path / "more" / "b.nii.gz")
    (tmp_path / "list.csv").write_text("file,source\nmore/b.nii.gz,trial\nMueller_Joerg_19610203/a.nii.gz,\n")
    assert not any(scan.named for scan in find(tmp_path / "Mueller_Joerg_19610203", raw).scans)
    assert all(scan.named for scan in find(f"chest={tmp_path / 'Mueller_Joerg_19610203'}", f"brain={raw}").scans)
    assert {scan.source: scan.named for scan in find(tmp_path / "list.csv").scans} == {"trial": True, "list": False}


def test_packed_scans_are_named_once_a_folder_and_tables_are_not(tmp_path):
    for name in ("a.dcm.gz", "b.dcm.gz", "scans.zip", "deep/x.nii.zst", "deep/pulse.tsv.gz"):
        put(tmp_path / name)
    found = find(tmp_path)
    assert {(o.name.rpartition("/")[2], o.reason, o.detail) for o in found.refused} == {
        ("scans.zip", "packed", ".zip: unpack first"),
        ("x.nii.zst", "packed", ".nii.zst: unpack first"),
        (f"{tmp_path.name} [a.dcm.gz + 1]", "packed", "2 .dcm.gz: unpack first"),
    }
    assert found.ignored == {".gz": 1}


@pytest.mark.parametrize("name", ["IM0003", "a.dcm", "b.nii.gz"])
def test_empty_files_are_named(tmp_path, name):
    put(tmp_path / name).write_bytes(b"")
    (outcome,) = find(tmp_path).refused
    assert "empty" in outcome.detail


def test_masks_named_as_bids_names_them_need_no_bids_tree(tmp_path):
    put(tmp_path / "sub-01_label-GM_probseg.nii.gz")
    put(tmp_path / "sub-01_T1w.nii.gz")
    assert [outcome.reason for outcome in find(tmp_path).refused] == ["label map"]


@pytest.mark.parametrize("sign, name", [(";", "semicolons"), ("\t", "tabs")])
def test_a_manifest_without_commas_is_told_what_it_has(tmp_path, sign, name):
    (tmp_path / "m.csv").write_text(f"file{sign}modality\na.nii{sign}mr\n", encoding="utf-8-sig")
    with pytest.raises(DataError, match=f"separated by {name}, expected commas"):
        find(tmp_path / "m.csv")
