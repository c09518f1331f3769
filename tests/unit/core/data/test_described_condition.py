"""What a data set tells of a condition: names, and the numbers that a model is shown under."""

import types

import numpy as np
import pytest

from hvae_core.config import load_config
from hvae_core.data import described_condition
from hvae_core.interfaces import ConditionColumn


def described(values, names=(), **options):
    """The condition's options and values after a data set with this column has been looked at."""
    column = ConditionColumn(np.asarray(values), tuple(names))
    dataset = types.SimpleNamespace(conditioned_on=None, condition=lambda name, split: column)
    condition = {"name": "vector", "size": 2, **options}
    model = {"resolutions": [8, 4, 1], "image_channels": 1, "condition": condition}
    config = described_condition(load_config({"model": model}), dataset, "train")
    return config.model.condition.options, config.model.condition_values


def test_typical_numbers_are_the_means_of_those_that_are_known():
    options, values = described([[1900, 2.0], [2000, np.nan], [2016, 4.0]], ["year", "dose"])
    assert options.names == ["year", "dose"]
    assert options.typical == [1972, 3]
    np.testing.assert_array_equal(values.examples(2), [[1972, 3], [1972, 3]])
    assert type(values).from_dict(values.to_dict()) == values


def test_what_is_set_stays_and_the_null_condition_needs_none():
    options, values = described([[1.0, 2.0]], typical=[5, 6])
    assert options.typical == [5, 6]
    _, values = described([[1.0, 2.0]], dropout=0.1)
    assert np.isnan(values.examples(3)).all()


@pytest.mark.parametrize("values", [[[1.0, np.nan], [2.0, np.nan]], [[1.0], [2.0]], [["a", "b"]]])
def test_without_typical_numbers_the_mean_that_is_subtracted_is_shown(values):
    options, found = described(values, mean=[7, 8])
    assert options.typical is None
    np.testing.assert_array_equal(found.examples(1), [[7, 8]])
    assert np.isnan(described(values)[1].examples(1)).all()
