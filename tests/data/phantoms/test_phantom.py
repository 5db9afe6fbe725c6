import nibabel
import numpy as np
import pytest

from umzoo.data.phantoms.files import write_phantoms
from umzoo.data.phantoms.phantom import LABELS, make_phantom

SIZE = (40, 40, 40)
SPACING = (2.0, 2.0, 2.0)


@pytest.mark.parametrize(("modality", "contrast"), [("ct", ""), ("mr", "t1w"), ("mr", "t2w")])
def test_equal_arguments_give_equal_voxels(modality, contrast):
    first, second, other = (make_phantom(seed, modality, contrast, SIZE, SPACING) for seed in (3, 3, 4))
    assert np.array_equal(first.image, second.image)
    assert not np.array_equal(first.image, other.image)
    assert first.image.dtype == np.float32 and first.image.shape == SIZE and np.isfinite(first.image).all()


def test_modalities_share_anatomy_but_not_contrast():
    ct, t1, t2 = (make_phantom(0, *kind, SIZE, SPACING) for kind in (("ct", ""), ("mr", "t1w"), ("mr", "t2w")))
    assert np.array_equal(ct.label, t1.label) and np.array_equal(ct.label, t2.label)
    inside = ct.label > 0
    assert abs(np.corrcoef(ct.image[inside], t1.image[inside])[0, 1]) < 0.9
    assert abs(np.corrcoef(t1.image[inside], t2.image[inside])[0, 1]) < 0.9


def test_ct_is_in_hounsfield_units():
    image = make_phantom(1, "ct", "", SIZE, SPACING).image
    assert image.min() >= -1024 and np.isclose(np.median(image[:, 0, 0]), -1000, atol=30)
    assert 0.01 < (image > 300).mean() < 0.2  # bone
    assert 0.1 < ((image > -200) & (image < 300)).mean() < 0.8  # soft tissue


def test_every_label_is_present():
    assert set(np.unique(make_phantom(2, "ct", "", SIZE, SPACING).label)) == set(LABELS.values())


def test_anatomy_does_not_depend_on_the_grid():
    coarse = make_phantom(5, "ct", "", SIZE, SPACING).label
    fine = make_phantom(5, "ct", "", (80, 80, 80), (1.0, 1.0, 1.0)).label
    assert np.allclose(np.bincount(coarse.ravel()) * 8, np.bincount(fine.ravel()), rtol=0.15)


def test_written_files_can_be_read_back(tmp_path):
    files = write_phantoms(tmp_path, ct=1, mr=2, labeled=1, size=(16, 16, 16), seed=1)
    assert [file.relative_to(tmp_path).parts[0] for file in files] == ["ct", "mr", "mr", "Dataset001_Phantom"]
    image = nibabel.load(files[0])
    assert nibabel.aff2axcodes(image.affine) == ("L", "P", "S")
    expected = make_phantom(1, "ct", "", (13, 16, 16), (1.25, 1.0, 1.0)).image
    assert np.allclose(np.asarray(image.dataobj).transpose(2, 1, 0), expected, atol=0.51)
    assert (tmp_path / "Dataset001_Phantom" / "labelsTr" / "phantom_000.nii.gz").is_file()
