"""Tasks are read from folders and tables, and what would make their numbers wrong is refused in one line."""

import json

import nibabel
import numpy as np
import pytest

from umzoo.downstream.tasks import load_task
from umzoo.errors import ConfigError, DataError


def touch(folder, *names):
    for name in names:
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        nibabel.save(nibabel.Nifti1Image(np.zeros((2, 2, 2), np.float32), np.eye(4)), file)


def toml(folder, **options):
    file = folder / "tumors.toml"
    lines = [f"{key} = {json.dumps(value)}" for key, value in options.items()]
    file.write_text("\n".join(["[task]", *lines]), encoding="utf-8")
    return file


def table(folder, text, n=10, kind="classification", **options):
    touch(folder, *(f"{i}.nii.gz" for i in range(n)))
    (folder / "cases.csv").write_text(text, encoding="utf-8")
    options = {"targets": "y"} | options if kind != "segmentation" else options
    return toml(folder, kind=kind, data="cases.csv", **options)


def rows(n=10, header="image,y,subject", line=lambda i: f"{i}.nii.gz,{i % 2},p{i // 2}"):
    return "\n".join([header, *(line(i) for i in range(n))])


def decathlon(folder, n=4, **more):
    names = [f"case_{i}" for i in range(n)]
    touch(folder, *(f"{part}/{name}.nii.gz" for part in ("imagesTr", "labelsTr") for name in names))
    listed = [{"image": f"./imagesTr/{name}.nii.gz", "label": f"./labelsTr/{name}.nii.gz"} for name in names]
    content = {"modality": {"0": "MRI"}, "labels": {"0": "background", "1": "tumor"}, "training": listed, **more}
    (folder / "dataset.json").write_text(json.dumps(content), encoding="utf-8")


def test_table(tmp_path):
    task = load_task(table(tmp_path, rows()))
    assert task.name == "tumors"
    assert task.classes == ("0", "1")
    assert [case.targets for case in task.cases] == [(float(i % 2),) for i in range(10)]
    assert task.cases[3].subject == "p1"
    assert task.cases[3].image == tmp_path / "3.nii.gz"


def test_jsonl_gives_the_same_task(tmp_path):
    by_csv = load_task(table(tmp_path, rows()))
    lines = [json.dumps({"image": f"{i}.nii.gz", "y": i % 2, "subject": f"p{i // 2}"}) for i in range(10)]
    (tmp_path / "cases.jsonl").write_text("\n".join(lines), encoding="utf-8")
    by_jsonl = load_task(tmp_path / "tumors.toml", ["task.data=cases.jsonl"])
    assert by_jsonl.cases == by_csv.cases


def test_decathlon_segmentation(tmp_path):
    decathlon(tmp_path)
    task = load_task(toml(tmp_path, kind="segmentation", data="."))
    assert task.classes == ("background", "tumor")
    assert task.cases[0].modality == ("mr",)
    assert task.cases[0].label == tmp_path / "labelsTr" / "case_0.nii.gz"


def test_nnunet_channels(tmp_path):
    names = [f"imagesTr/a{i}_{channel:04d}.nii.gz" for i in range(3) for channel in range(2)]
    touch(tmp_path, *names, *(f"labelsTr/a{i}.nii.gz" for i in range(3)))
    content = {"channel_names": {"0": "CT", "1": "PET"}, "labels": {"background": 0, "x": 1}, "file_ending": ".nii.gz"}
    (tmp_path / "dataset.json").write_text(json.dumps(content), encoding="utf-8")
    task = load_task(toml(tmp_path, kind="segmentation", data="."))
    assert [len(case.images) for case in task.cases] == [2, 2, 2]
    assert task.cases[0].modality == ("ct", "pt")


def test_folder_joined_with_a_table(tmp_path):
    decathlon(tmp_path)
    (tmp_path / "targets.csv").write_text("case,y\ncase_0,1\ncase_1,2.5\ncase_2,\n", encoding="utf-8")
    options = {"kind": "regression", "data": ".", "table": "targets.csv", "targets": "y"}
    task = load_task(toml(tmp_path, **options, mask="labelsTr/{case}.nii.gz"))
    assert [case.targets for case in task.cases] == [(1.0,), (2.5,)]
    assert task.left_out == 2
    assert task.cases[0].mask == tmp_path / "labelsTr" / "case_0.nii.gz"
    by_pattern = load_task(toml(tmp_path, **options, mask="labelsTr/{case}.nii.gz", images="imagesTr/{case}.nii.gz"))
    assert [case.images for case in by_pattern.cases] == [case.images for case in task.cases]


def test_named_classes_keep_their_order(tmp_path):
    task = load_task(table(tmp_path, rows(), classes=["1", "0"]), ["task.classes={1='yes', 0='no'}"])
    assert task.classes == ("yes", "no")
    assert task.cases[0].targets == (1.0,)


def test_survival_and_multilabel(tmp_path):
    text = rows(header="image,t,e", line=lambda i: f"{i}.nii.gz,{i + 1},{i % 2}")
    survival = load_task(table(tmp_path, text, kind="survival", targets=["t", "e"]))
    assert survival.outputs == 1 and survival.cases[1].targets == (2.0, 1.0)
    both = load_task(table(tmp_path, rows(header="image,t,e", line=lambda i: f"{i}.nii.gz,yes,0"), kind="multilabel",
                           targets=["t", "e"]))  # fmt: skip
    assert both.classes == ("t", "e") and both.cases[0].targets == (1.0, 0.0)


@pytest.mark.parametrize(
    ("text", "options", "said"),
    [
        (rows(), {"targets": "yy"}, "no column 'yy' (did you mean 'y'?)"),
        (rows(), {"subject": "person"}, "no column 'person'"),
        (rows() + "\n3.nii.gz,1,p1", {}, "lists case '3' twice"),
        (rows() + "\n99.nii.gz,1,p1", {}, "1 of 11 images do not exist"),
        (rows(header="image,y,fold", line=lambda i: f"{i}.nii.gz,{i % 2},{i % 5}") + "", {"subject": "y"}, "in fold"),
        (rows(header="image,y,split", line=lambda i: f"{i}.nii.gz,{i % 2},tset"), {}, "did you mean 'test'"),
        (rows(line=lambda i: f"{i}.nii.gz,{int(i == 0)},"), {}, "class '1' has 1 cases"),
        (rows(line=lambda i: f"{i}.nii.gz,1,"), {}, "one class only"),
        (rows(line=lambda i: f"{i}.nii.gz,,"), {"kind": "regression"}, "no case with an answer"),
        (rows(line=lambda i: f"{i}.nii.gz,tall,"), {"kind": "regression"}, "expected a finite number"),
    ],
)
def test_refused_in_one_line(tmp_path, text, options, said):
    with pytest.raises(DataError) as caught:
        load_task(table(tmp_path, text, **options))
    assert said in str(caught.value) and "\n" not in str(caught.value)


def test_options_are_checked(tmp_path):
    file = table(tmp_path, rows())
    with pytest.raises(ConfigError, match="unknown key 'task.fold_count'"):
        load_task(file, ["task.fold_count=3"])
    with pytest.raises(ConfigError, match="needs 'targets'"):
        load_task(file, ["task.targets=[]"])


def test_images_of_one_name_in_several_folders(tmp_path):
    touch(tmp_path, *(f"p{i}/scan.nii.gz" for i in range(4)))
    task = load_task(table(tmp_path, rows(4, "image,y", lambda i: f"p{i}/scan.nii.gz,{i % 2}"), n=0))
    assert [case.id for case in task.cases] == [f"p{i}_scan" for i in range(4)]
