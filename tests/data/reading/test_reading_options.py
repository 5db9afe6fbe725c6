from __future__ import annotations

import numpy as np
import pytest

from umzoo.data.preparing.prepare import prepare


def uneven(k):
    return {"ImagePositionPatient": [0, 0, 2.0 * k if k < 8 else 14 + 5.0 * (k - 7)]}


@pytest.mark.parametrize("kind", ["uneven", "nan"])
def test_what_was_refused_enters_once_it_is_allowed(tmp_path, make_scan, write_dicom, write_nifti, kind):
    scan = make_scan().astype(np.float32)
    if kind == "uneven":
        write_dicom(tmp_path / "in", make_scan(), each=uneven)
    else:
        scan[:3] = np.nan
        write_nifti(tmp_path / "in" / "a.nii", scan)
    before = prepare([tmp_path / "in"], tmp_path / "store", spacing=None, workers=0)
    assert (before.count("in"), before.count("refused")) == (0, 1)
    allowed = {"uneven": "resample"} if kind == "uneven" else {"nan": "fill"}
    after = prepare([tmp_path / "in"], tmp_path / "store", spacing=None, workers=0, **allowed)
    assert after.count("in") == 1
    assert ("resampled" if kind == "uneven" else "filled") in after.outcomes[0].notes[0]
