"""A probe that looks at the spectrum alone cannot tell the scale of crops that the network is asked for."""

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression

from umzoo.data.loading.config import DataConfig
from umzoo.data.loading.intensity import to_unit
from umzoo.data.loading.loader import Loader
from umzoo.data.store.halves import make_half
from umzoo.data.store.reader import Store
from umzoo.fields import Rng

EDGE, PATCH = 64, 16


def texture(seed):
    """A random volume with equal power in every octave: it looks alike at every scale. A scan's noise is added."""
    rng = np.random.default_rng(seed)
    frequency = np.sqrt(
        sum(
            np.meshgrid(np.fft.fftfreq(EDGE) ** 2, np.fft.fftfreq(EDGE) ** 2, np.fft.rfftfreq(EDGE) ** 2, indexing="ij")
        )
    )
    frequency[0, 0, 0] = np.inf
    spectrum = np.fft.rfftn(rng.standard_normal((EDGE,) * 3)) / frequency**1.5
    volume = np.fft.irfftn(spectrum, s=(EDGE,) * 3, axes=(0, 1, 2))
    volume = volume / volume.std() + 0.1 * rng.standard_normal(volume.shape)
    return (500 + 110 * volume).clip(0, 1000).astype(np.int16)


def features(image):
    """Log power in bands of frequency, and log differences of neighbors, of crops brought to equal variance."""
    image = image[:, 0] - image.mean(dim=(1, 2, 3, 4)).view(-1, 1, 1, 1)
    image = image / image.flatten(1).std(dim=1).view(-1, 1, 1, 1)
    power = torch.fft.rfftn(image, dim=(1, 2, 3)).abs() ** 2
    axes = torch.fft.fftfreq(PATCH), torch.fft.fftfreq(PATCH), torch.fft.rfftfreq(PATCH)
    radius = torch.stack(torch.meshgrid(*axes, indexing="ij")).norm(dim=0)
    bands = (radius / 0.87 * 12).long().clamp(max=11)
    found = [torch.log(power[:, bands == band].mean(dim=1)) for band in range(1, 12)]
    for order in (1, 2, 3):
        steps = image.diff(n=order, dim=3).abs()
        found += [torch.log(steps[..., phase::2].mean(dim=(1, 2, 3))) for phase in (0, 1)]
    return torch.stack(found, dim=1)


def probe_accuracy(store, matched):
    config = DataConfig(patch_size=(PATCH,) * 3, batch_size=96, workers=0, matched=matched, foreground=0)
    with Loader(store, config, seed=0) as loader:
        batches = [to_unit(next(loader), Rng(step)) for step in range(6)]
    found = torch.cat([features(batch["image"]) for batch in batches])
    found = (found - found.mean(dim=0)) / found.std(dim=0)
    scale = torch.cat([torch.log2(batch["spacing"][:, 2]).round().long() + 1 for batch in batches])
    if matched:
        assert torch.equal(scale, torch.cat([batch["scale"] for batch in batches]))
    train, test = slice(0, 384), slice(384, None)
    probe = LogisticRegression(max_iter=300).fit(found[train], scale[train])
    return probe.score(found[test], scale[test])


def test_sharpness_tells_the_scale_only_where_it_is_not_asked(tmp_path, write_volume):
    for seed in range(3):
        write_volume(tmp_path, f"v{seed}", texture(seed))
    assert probe_accuracy(Store(tmp_path), matched=0.0) > 0.9
    assert probe_accuracy(Store(tmp_path), matched=1.0) < 0.47  # chance is 0.33
    assert all(make_half(tmp_path, f"v{seed}") for seed in range(3))
    assert probe_accuracy(Store(tmp_path), matched=1.0) < 0.47
