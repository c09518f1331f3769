import types

import pytest

from hvae_core.exporting.comparison import count_of


@pytest.mark.parametrize(
    ("shape", "count"),
    [((8, 8, 1), 64), ((64, 64, 3), 64), ((256, 256, 3), 4), ((2048, 2048, 1), 1)],
)
def test_fewer_images_are_compared_where_they_are_large(shape, count):
    assert count_of(types.SimpleNamespace(image_shape=shape)) == count
