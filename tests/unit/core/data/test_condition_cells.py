"""Conditions from the cells of tables, and from what items say of their images."""

import numpy as np
import pytest

from hvae_core.data.condition_cells import column_of_cells
from hvae_core.data.item_labels import joined, label_of
from hvae_core.errors import DataError


@pytest.mark.parametrize(
    ("cells", "name", "values", "names"),
    [
        ({"label": [2, 0, 1]}, "label", [2, 0, 1], ("a", "b", "c")),
        ({"label": ["dog", "cat", "dog"]}, "label", [1, 0, 1], ("cat", "dog")),
        ({"age": [1.5, None]}, "age", [[1.5], [np.nan]], ("age",)),
        ({"age": [1, 2], "size": [3, None]}, ("age", "size"), [[1, 3], [2, np.nan]],
         ("age", "size")),
    ],
)  # fmt: skip
def test_classes_texts_and_numbers(cells, name, values, names):
    column = column_of_cells(cells, name, ("a", "b", "c"))
    np.testing.assert_array_equal(column.values, values)
    assert column.names == names
    assert (column.values.dtype == np.int64) == (name == "label")


@pytest.mark.parametrize(
    ("cells", "told"),
    [
        ([1, None], "Row 1 has no 'label'"),
        (["cat", None], "Row 1 has no 'label' in here"),
        ([1, "cat"], "The columns label of here hold no num"),
        ([[1.0, 2.0], [3.0, 4.0]], "The columns label of here hold no num"),
        ([1, 2**70], "The column 'label' of here has a whole number of more than 63 bits"),
        ([1.5, 10**400], "The columns label of here hold no num"),
    ],
)
def test_cells_that_are_neither_are_told(cells, told):
    with pytest.raises(DataError, match=told):
        column_of_cells({"label": cells}, "label", where="here")


@pytest.mark.parametrize(
    ("item", "count", "expected"),
    [
        ((None, 3), 1, [3]),
        ([None, np.int64(3)], 1, [3]),
        ((None, [3]), 1, [3]),
        ((None, [0.5, 2.0]), 1, [[0.5, 2.0]]),
        ((None, [1, 2]), 2, [1, 2]),
        ({"image": None, "label": "cat"}, 1, ["cat"]),
        ({"x": None, "y": 4}, 1, [4]),
        ((None, [1, 2]), 3, None),
        ((None, np.zeros((8, 8, 1))), 1, None),
        ((None, 1, 2), 1, None),
        ({"image": None}, 1, None),
        (np.zeros((2, 8, 8, 1)), 2, None),
    ],
)
def test_what_an_item_says(item, count, expected):
    found = label_of(item, count)
    assert (found is None) == (expected is None)
    if expected is not None:
        np.testing.assert_array_equal(found, expected)


def test_all_items_have_to_say_it():
    parts = [np.array([1, 2]), np.array([3])]
    np.testing.assert_array_equal(joined(parts), [1, 2, 3])
    assert joined([*parts, None]) is None
    assert joined([*parts, np.array([[1.0, 2.0]])]) is None
    np.testing.assert_array_equal(joined([np.array([[1]]), np.array([[2]])]), [1, 2])
