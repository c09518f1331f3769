import numpy as np
import pytest

from hvae_core.data.arrays import ArraySource
from hvae_core.data.fingerprints import fingerprint
from hvae_core.runs.validation_record import ValidationRecord

SPLIT = fingerprint(ArraySource(np.arange(40, dtype=np.uint8).reshape(10, 2, 2, 1)))


@pytest.mark.parametrize("indices", [[], [0], [9, 2]])
@pytest.mark.parametrize("split", [SPLIT, None])
def test_what_is_written_is_read_back(tmp_path, indices, split):
    assert ValidationRecord.read(tmp_path) is None
    record = ValidationRecord.of(np.asarray(indices, np.int64), split)
    record.write(tmp_path)
    found = ValidationRecord.read(tmp_path)
    assert found.indices.tolist() == indices
    assert found.indices.dtype == np.int64
    assert found.sha256 == (split and split.sha256)
    if split is None:
        assert found.digests is None
    else:
        np.testing.assert_array_equal(found.digests, SPLIT.digests[record.indices])
