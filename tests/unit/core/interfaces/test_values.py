import numpy as np
import pytest

from hvae_core.errors import ConfigError
from hvae_core.interfaces import UINT8, ImageValues
from hvae_core.interfaces.values import check_image_values

TWELVE = ImageValues.of_bits(12)
FLOAT = ImageValues("float32", -1.0, 3.0, "counts")


def test_what_follows_from_type_and_range():
    assert (UINT8.levels, UINT8.center, UINT8.half_range) == (256, 127.5, 127.5)
    assert (TWELVE.dtype, TWELVE.levels, TWELVE.high) == ("uint16", 4096, 4095.0)
    assert (FLOAT.levels, FLOAT.center, FLOAT.half_range) == (0, 1.0, 2.0)
    assert [v.is_discrete for v in (UINT8, TWELVE, FLOAT)] == [True, True, False]
    assert [v.tensor_dtype for v in (UINT8, TWELVE, FLOAT)] == ["uint8", "float32", "float32"]
    assert ImageValues(**TWELVE.to_dict()) == TWELVE
    assert list(map(str, (UINT8, TWELVE, FLOAT))) == [
        "uint8",
        "uint16 of 12 bits",
        "float32 from -1 to 3 counts",
    ]


@pytest.mark.parametrize(
    ("values", "array"),
    [
        (UINT8, np.array([0, 255], np.int64)),
        (UINT8, np.array([0.0, 7.0])),
        (TWELVE, np.array([0, 4095], np.uint16)),
        (TWELVE, np.array([0, 255], np.uint8)),
        (TWELVE, np.array([5.0, 4095.0], np.float32)),
        (FLOAT, np.array([-100.0, 100.0])),
        (FLOAT, np.array([1, 2**24], np.int32)),
    ],
)
def test_the_same_values_in_another_type_are_taken(values, array):
    exact = values.exact(array)
    assert exact.dtype == values.dtype
    np.testing.assert_array_equal(exact, array)


@pytest.mark.parametrize(
    ("values", "array"),
    [
        (UINT8, np.array([256])),
        (UINT8, np.array([0.5])),
        (UINT8, np.array([np.nan])),
        (UINT8, np.array([True])),
        (TWELVE, np.array([4096], np.uint16)),
        (TWELVE, np.array([-1])),
        (FLOAT, np.array([np.inf], np.float32)),
        (FLOAT, np.array([1e300])),
        (FLOAT, np.array([2**24 + 1])),
        (FLOAT, np.array(["1"])),
    ],
)
def test_what_would_be_lost_is_refused(values, array):
    assert values.exact(array) is None


def test_computed_images_are_rounded_and_cut_off_where_they_are_integers():
    computed = np.array([-3.0, 1.5, 2.5, 1e6], "f")
    assert UINT8.rounded(computed).tolist() == [0, 2, 2, 255]
    assert TWELVE.rounded(computed).dtype == np.uint16
    np.testing.assert_array_equal(FLOAT.rounded(computed), computed)


def test_two_that_differ_are_told_apart_in_a_sentence():
    check_image_values(TWELVE, ImageValues.of_bits(12))
    with pytest.raises(ConfigError, match="are uint16 of 12 bits; the model was made for uint8"):
        check_image_values(TWELVE, UINT8)
