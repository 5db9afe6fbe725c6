import multiprocessing
import os

import numpy as np
import pytest

from umzoo.data.loading.ring_buffer import Ring


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
def test_another_process_writes_into_the_same_memory():
    ring = Ring(multiprocessing.get_context("spawn"), slots=2, batch=2, patch=(3, 4, 5))
    if not (child := os.fork()):
        ring.voxels[1, 0] = 7
        ring.items["mean"][1] = (0.25, 0.5)
        os._exit(0)
    os.waitpid(child, 0)
    assert ring.voxels.shape == (2, 2, 1, 3, 4, 5)
    assert (ring.voxels[1, 0] == 7).all() and ring.voxels.sum() == 7 * 60
    assert np.array_equal(ring.items["mean"], [[0, 0], [0.25, 0.5]])


def test_parts_do_not_overlap():
    ring = Ring(multiprocessing.get_context("spawn"), slots=3, batch=1, patch=(3, 3, 3))
    ring.voxels[...] = -1
    assert (ring.items["volume"] == 0).all()
    ring.items["volume"] = 9
    assert (ring.voxels == -1).all()
