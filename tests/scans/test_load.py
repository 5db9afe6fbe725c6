from __future__ import annotations

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
import torch

import umzoo
from tests.data.conftest import write_dicom
from tests.scans.conftest import SPACING, as_nifti, guises, make_body, ras_affine
from umzoo.data.loading.intensity import enter, to_unit
from umzoo.data.preparing.prepare import prepare
from umzoo.data.store.reader import Store
from umzoo.errors import ConfigError, DataError
from umzoo.scans.load import parse_modality
from umzoo.spec import InputSpec

SPECS = {
    "native": InputSpec(spacing=None),
    "resampled": InputSpec(spacing=(1.0, 1.0, 1.0)),
    "xyz": InputSpec(spacing=(1.5, 1.0, 2.5), axes="xyz", space="unit"),
    "RAS": InputSpec(spacing=None, orientation="RAS", space="unit"),
}


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_one_scan_in_every_guise_is_one_tensor(tmp_path, body, spec):
    images = {name: umzoo.load_scan(source, spec).image for name, source in guises(body, tmp_path).items()}
    first = images.pop("a.nii.gz")
    assert first.dtype == torch.float32
    for name, image in images.items():
        assert torch.equal(image, first), name


def test_a_dicom_folder_is_the_same_tensor(tmp_path, body):
    folder = write_dicom(tmp_path / "series", body, spacing=SPACING)
    spec = SPECS["resampled"]
    scan = umzoo.load_scan(folder, spec)
    assert scan.modality == ("ct",)
    assert torch.equal(scan.image, umzoo.load_scan(as_nifti(body), spec).image)


@pytest.mark.parametrize("space", ["unit", "zscore"])
@pytest.mark.parametrize("modality", ["ct", "mr"])
def test_it_is_what_the_training_sees(tmp_path, body, space, modality):
    voxels = body if modality == "ct" else body + 1000
    nibabel.save(as_nifti(voxels), tmp_path / "a.nii.gz")
    prepare([tmp_path / "a.nii.gz"], tmp_path / "store", modality=(f"{modality}=*",), workers=0)
    store = Store(tmp_path / "store")
    (record,) = store.records
    stored = store.read(0, (0, 0, 0), record.shape)
    batch = {
        "voxels": torch.from_numpy(stored)[None, None],
        "window": torch.tensor([record.stored_window]),
        "mean": torch.tensor([record.mean]),
        "std": torch.tensor([record.std]),
    }
    expected = enter(to_unit(batch)["image"], batch, space)[0]
    spec = store.info.input.model_copy(update={"space": space})
    scan = umzoo.load_scan(tmp_path / "a.nii.gz", spec, modality=modality.upper())
    assert torch.equal(scan.image, expected)
    assert scan.spacing == pytest.approx(record.spacing, abs=1e-5)


def test_orientation_and_axes_are_those_of_the_weights(body):
    canonical = umzoo.load_scan(as_nifti(body), SPECS["native"].model_copy(update={"space": "unit"})).image[0]
    ras = umzoo.load_scan(as_nifti(body), SPECS["RAS"]).image[0]
    assert torch.equal(ras, canonical.flip((1, 2)))
    xyz = SPECS["xyz"].model_copy(update={"spacing": None})
    assert torch.equal(umzoo.load_scan(as_nifti(body), xyz).image[0], canonical.permute(2, 1, 0))


@pytest.mark.parametrize("axes", ["xyz", "zyx"])
@pytest.mark.parametrize("turn", [[[0, 1], [1, 1], [2, 1]], [[1, -1], [2, 1], [0, -1]]])
def test_weights_trained_on_scans_as_stored_see_them_so(body, axes, turn):
    image = as_nifti(body).as_reoriented(np.array(turn))
    spec = InputSpec(spacing=None, orientation="as stored", axes=axes, space="unit")
    scan = umzoo.load_scan(image, spec, modality="ct")
    stored = torch.from_numpy(np.asarray(image.dataobj).astype(np.float32)).permute(*("xyz".index(a) for a in axes))
    torch.testing.assert_close(scan.image[0], ((stored + 1000) / 2000).clamp(0, 1), atol=1e-3, rtol=0)
    to_lps = np.diag([-1, -1, 1, 1]) @ image.affine
    for corner in ((0, 0, 0), (3, 5, 7)):
        index = [*(corner["xyz".index(a)] for a in axes), 1]
        np.testing.assert_allclose(scan.grid.affine @ index, to_lps @ (*corner, 1), atol=1e-5)


def test_an_unknown_orientation_is_refused(body):
    with pytest.raises(ConfigError, match=r"'as stored', or L/R, P/A and S/I.*got 'up'"):
        umzoo.load_scan(as_nifti(body), InputSpec(orientation="up"))


def test_channels_follow_their_own_rules(body):
    spec = InputSpec(spacing=None, in_channels=2)
    ct, mr = as_nifti(body), as_nifti(make_body(1) + 1000)
    scan = umzoo.load_scan([ct, mr], spec, modality=("ct", "mr"))
    assert scan.image.shape[0] == 2
    one = InputSpec(spacing=None)
    assert torch.equal(scan.image[:1], umzoo.load_scan(ct, one, modality="ct").image)
    assert torch.equal(scan.image[1:], umzoo.load_scan(mr, one, modality="mr").image)


def test_names_of_channels_tell_the_modality(body):
    spec = InputSpec(spacing=None, in_channels=2)
    mr = as_nifti(make_body(1) + 1000)
    assert umzoo.load_scan({"flair": mr, "T1w": mr}, spec).modality == ("mr", "mr")


def test_a_network_says_what_it_expects(body):
    network = torch.nn.Identity()
    with pytest.raises(ConfigError, match="has no input spec"):
        umzoo.load_scan(as_nifti(body), network)
    network.weights_info = type("Info", (), {"input": InputSpec(spacing=None)})()
    assert umzoo.load_scan(as_nifti(body), network).image.shape == (1, 20, 24, 28)


@pytest.mark.parametrize(("name", "modality"), [("CT", "ct"), ("MRI", "mr"), ("T1w", "mr"), ("pet", "pt")])
def test_modalities_go_by_their_usual_names(name, modality):
    assert parse_modality(name) == modality


def refused(source, spec=SPECS["native"], error=DataError, **options) -> str:
    with pytest.raises(error) as caught:
        umzoo.load_scan(source, spec, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_modality_that_is_unknown_or_wrong_is_refused(tmp_path, body):
    mr = as_nifti(make_body() + 1000)
    assert "unknown: give the modality, one of ct, mr" in refused(mr)
    assert "'mri'" not in refused(mr, modality="mrr", error=ConfigError)
    assert "did you mean" in refused(mr, modality="mrr", error=ConfigError)
    assert "its values (Hounsfield units) indicate" in refused(as_nifti(body), modality="mr")
    folder = write_dicom(tmp_path / "series", body, spacing=SPACING)
    assert "its dicom says 'ct'" in refused(folder, modality="mr")


def test_what_is_no_volume_is_refused(tmp_path, body):
    assert "2-D" in refused((body[0], ras_affine()))
    rgb = np.zeros(body.shape, [("R", "u1"), ("G", "u1"), ("B", "u1")])
    assert "RGB" in refused(nibabel.Nifti1Image(rgb, ras_affine()))
    assert "expected a file" in refused(3)
    assert "does not exist" in refused(tmp_path / "nothing.nii.gz")
    (tmp_path / "x.nii.gz").write_bytes(b"damaged")
    assert "unreadable" in refused(tmp_path / "x.nii.gz")
    assert "(4, 4)" in refused((body, np.eye(3)))


def test_missing_channels_and_foreign_grids_are_refused(body):
    two = InputSpec(spacing=None, in_channels=2)
    assert "expects 2 channel(s), got 1" in refused(as_nifti(body), two)
    shifted = ras_affine()
    shifted[0, 3] += 5
    assert "is not on the same grid" in refused([as_nifti(body), as_nifti(body, shifted)], two)


def test_several_volumes_need_a_choice(tmp_path, body):
    moving = np.stack([body.transpose(2, 1, 0), make_body(1).transpose(2, 1, 0)], axis=-1)
    image = nibabel.Nifti1Image(moving, ras_affine())
    assert "frame=0" in refused(image)
    second = umzoo.load_scan(image, SPECS["native"], frame=1)
    assert torch.equal(second.image, umzoo.load_scan(as_nifti(make_body(1)), SPECS["native"]).image)
    assert umzoo.load_scan(image, InputSpec(spacing=None, in_channels=2)).image.shape[0] == 2
    guises(body, tmp_path)
    assert "has 6 scans" in refused(tmp_path)


def test_headers_that_say_little_are_reported(tmp_path, body):
    image = as_nifti(body)
    image.set_sform(None, 0)
    image.set_qform(None, 0)
    nibabel.save(image, tmp_path / "a.nii")
    scan = umzoo.load_scan(tmp_path / "a.nii", SPECS["native"])
    assert any("has no orientation" in note for note in scan.notes)


def test_itk_origin_is_kept(tmp_path, body):
    scan = umzoo.load_scan(as_nifti(body), SPECS["native"])
    saved = scan.to_original(scan.image[0]).save(tmp_path / "a.mha")
    assert sitk.ReadImage(str(saved)).GetOrigin() == pytest.approx((-30, -20, -40))


def test_a_thin_scan_is_answered_though_it_is_not_trained_on(tmp_path, body):
    nibabel.save(as_nifti(body[:5]), tmp_path / "thin.nii.gz")
    report = prepare([tmp_path / "thin.nii.gz"], tmp_path / "store", spacing=None, workers=0)
    assert report.outcomes[0].reason == "too thin"
    scan = umzoo.load_scan(tmp_path / "thin.nii.gz", SPECS["native"], modality="ct")
    assert scan.image.shape == (1, 5, 24, 28)


def test_an_assumed_modality_is_taken_only_where_none_is_known(body, caplog):
    spec, unknown = SPECS["native"], as_nifti(body + 1000)
    assert umzoo.load_scan(unknown, spec, assumed=("mr",)).modality == ("mr",)
    assert "the modality is unknown; assuming 'mr'" in caplog.text
    assert umzoo.load_scan(unknown, spec, modality="pt", assumed=("mr",)).modality == ("pt",)
    assert umzoo.load_scan(as_nifti(body), spec, assumed=("mr",)).modality == ("ct",)
