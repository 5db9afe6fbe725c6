from __future__ import annotations

import pytest
import torch

import umzoo
from tests.scans.conftest import as_nifti
from umzoo.downstream.embed.dense import dense_features
from umzoo.downstream.embed.vectors import embed
from umzoo.errors import ConfigError, DataError


@pytest.fixture
def model(weights):
    return umzoo.from_pretrained(weights)


@pytest.fixture
def scan(model, body):
    return umzoo.load_scan(as_nifti(body), model)


def test_one_window_is_one_forward_pass(model, scan):
    size = tuple(-(-n // 2) * 2 for n in scan.image.shape[1:])
    assert size == tuple(scan.image.shape[1:]), "the body is chosen so that nothing is padded"
    with torch.no_grad():
        expected = model.encode(scan.image[None])[-1][0]
    vector = embed(model, scan, patch_size=size).vector
    assert torch.allclose(vector, expected.mean(dim=(1, 2, 3)), atol=1e-5)
    both = embed(model, scan, patch_size=size, pooling="mean+max").vector
    assert torch.allclose(both[8:], expected.amax(dim=(1, 2, 3)))
    assert embed(model, scan, levels=(0, 1)).vector.shape == (12,)


def test_windows_are_named_and_their_mean_is_that_of_the_scan(model, scan):
    found = embed(model, scan, per="window", patch_size=(8, 8, 8))
    assert len(found.vectors) == len(set(found.regions)) > 1
    assert "0,0,0" in found.regions or len(found.regions) < 27
    with pytest.raises(ConfigError, match="expected one vector"):
        _ = found.vector


def test_padding_does_not_count(model, scan):
    """The mean over a scan in one window is the same however far the window reaches beyond it."""
    model_without_context = _pointwise(model)
    small = embed(model_without_context, scan, patch_size=tuple(scan.image.shape[1:])).vector
    part = umzoo.Scan(scan.image[:, :9], scan.grid, scan.original, scan.modality)
    padded = embed(model_without_context, part).vector
    exact = model_without_context.encode(part.image[None])[-1][0].mean(dim=(1, 2, 3))
    assert torch.allclose(padded, exact, atol=1e-6)
    assert not torch.allclose(padded, small)


def _pointwise(model):
    """The network with an encoder that looks at single voxels."""
    model.encode = lambda image: [image, image**2]
    return model


def test_a_mask_gives_a_vector_for_each_label(model, scan):
    labels = torch.zeros(scan.image.shape[1:], dtype=torch.int64)
    labels[:6], labels[12:] = 1, 3
    plain = _pointwise(model)
    found = embed(plain, scan, roi=labels, levels=(0,))
    assert found.regions == ("1", "3")
    for region, vector in zip(found.regions, found.vectors, strict=True):
        inside = scan.image[0][labels == int(region)]
        assert torch.allclose(vector, inside.mean(), atol=1e-5)
    with pytest.raises(DataError, match="does not lie"):
        embed(model, scan, roi=labels[1:])
    with pytest.raises(DataError, match="empty"):
        embed(model, scan, roi=torch.zeros_like(labels))
    with pytest.raises(ConfigError, match="needs a mask"):
        embed(model, scan, per="roi")


def test_what_a_network_cannot_do_is_refused(model, scan):
    with pytest.raises(ConfigError, match="levels 0 to 1"):
        embed(model, scan, levels=(2,))
    with pytest.raises(ConfigError, match="the nearest is"):
        embed(model, scan, patch_size=(9, 9, 9))


def test_dense_maps_lie_on_the_image(model, scan):
    pytest.importorskip("monai")
    dense = dense_features(model, scan)
    assert dense.shape == (4, *scan.image.shape[1:])
    assert dense_features(model, scan, level=-1).shape == (8, *scan.image.shape[1:])
