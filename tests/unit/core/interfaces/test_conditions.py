"""What is given as a condition, and the form that graphs take it in."""

import tracemalloc

import numpy as np
import pytest

from hvae_core.errors import BadInputError
from hvae_core.interfaces import ConditionValues

ANIMALS = ConditionValues("class", 3, ("cat", "dog", "frog"), 0.1)
SIZES = ConditionValues("numbers", 2, ("age", "bmi"))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (2, [2, 2]),
        ("dog", [1, 1]),
        ("2", [2, 2]),
        (None, [3, 3]),
        (np.int64(1), [1, 1]),
        (np.array(1), [1, 1]),
        ([0, "frog"], [0, 2]),
        (np.array([2, 0], np.uint8), [2, 0]),
        ([None, 1.0], [3, 1]),
    ],
)
def test_classes(given, expected):
    found = ANIMALS.encode(given, 2)
    np.testing.assert_array_equal(found, expected)
    assert found.dtype == np.int32


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([1.5, 2], [[1.5, 2, 1, 1]] * 2),
        ({"bmi": 3}, [[0, 3, 0, 1]] * 2),
        ([[1, np.nan], [3, 4]], [[1, 0, 1, 0], [3, 4, 1, 1]]),
        ([{"age": 1}, [3, 4]], [[1, 0, 1, 0], [3, 4, 1, 1]]),
    ],
)
def test_numbers(given, expected):
    found = SIZES.encode(given, 2)
    np.testing.assert_array_equal(found, expected)
    assert found.dtype == np.float32


@pytest.mark.parametrize("given", [1, "dog", np.ones(10**6, np.int32)])
def test_classes_of_many_images_are_no_python_objects(given):
    tracemalloc.start()
    try:
        found = ANIMALS.encode(given, 10**6)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found.sum() == 10**6
    assert peak < 6 * 10**6, "more than the array itself"


@pytest.mark.parametrize(
    ("values", "given", "told"),
    [
        (ANIMALS, 3, "condition is 3; expected a class from 0 to 2 or its name, such as 'cat'"),
        (ANIMALS, -1, "condition is -1"),
        (ANIMALS, 1.5, "condition is 1.5"),
        (ANIMALS, True, "condition is True"),
        (ANIMALS, "dgo", "condition is 'dgo'"),
        (ANIMALS, [0, 1, 2], "3 classes for 2 images"),
        (ANIMALS, np.array([0, 3]), r"condition\[1\] is .*3.*; expected a class from 0 to 2"),
        (ANIMALS, [0, "bird"], r"condition\[1\] is 'bird'"),
        (ANIMALS, object(), "expected a condition, or a list"),
        (SIZES, [1, 2, 3], r"shape \[2, 3\]; expected 2 numbers for all images"),
        (SIZES, 7, "expected a condition, or a list"),
        (SIZES, "dog", "expected numbers"),
        (SIZES, [1, np.inf], "infinite"),
        (SIZES, {"agee": 1}, "'agee', which is none of its numbers"),
        (SIZES, None, "None, the null condition, which this model was not trained with"),
    ],
)
def test_anything_else_is_refused(values, given, told):
    with pytest.raises(BadInputError, match=told):
        values.encode(given, 2)


def test_what_is_written_reads_back():
    for values in (ANIMALS, SIZES):
        assert ConditionValues.from_dict(values.to_dict()) == values
    assert ANIMALS.label(1) == "dog"
    assert ConditionValues("class", 3).label(1) == "1"
