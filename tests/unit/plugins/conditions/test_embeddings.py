"""What the embeddings of conditions compute."""

import numpy as np
import pytest
from keras import ops

import hvae_core as hvae
from hvae_core.errors import ConfigError
from hvae_core.interfaces import ConditionValues

pytestmark = pytest.mark.every_backend


def built(name, config):
    condition = hvae.create(f"condition.{name}", config)
    values = (
        hvae.plugins.manager()
        .get("condition", name)
        .condition_values(hvae.plugins.manager().get("condition", name).config(**config))
    )
    condition.build((None, *values.shape))
    return condition, values


def test_a_class_is_a_row_of_the_table_and_the_null_class_the_last():
    config = {"classes": 3, "width": 5, "dropout": 0.1, "names": ["a", "b", "c"]}
    label, values = built("label", config)
    assert values == ConditionValues("class", 3, ("a", "b", "c"), 0.1)
    table = ops.convert_to_numpy(label.table)
    assert table.shape == (4, 5)
    given = values.encode(["c", 0, None], 3)
    np.testing.assert_allclose(ops.convert_to_numpy(label(given)), table[[2, 0, 3]], rtol=1e-6)
    assert built("label", {**config, "dropout": 0.0})[0].table.shape == (3, 5)


def test_numbers_go_through_the_mlp_and_unknown_ones_are_no_numbers():
    config = {"size": 2, "width": 3, "hidden": [4], "mean": [1.0, -1.0], "scale": [2.0, 0.5],
              "names": ["age", "bmi"], "dropout": 0.3}  # fmt: skip
    vector, values = built("vector", config)
    assert values == ConditionValues("numbers", 2, ("age", "bmi"), 0.3, (1.0, -1.0))
    given = values.encode([{"age": 3.0}, [1.0, 2.0], None], 3)
    np.testing.assert_array_equal(given, [[3, 0, 1, 0], [1, 2, 1, 1], [0, 0, 0, 0]])
    h = np.array([[1, 0, 1, 0], [0, 6, 1, 1], [0, 0, 0, 0]])
    weights = [ops.convert_to_numpy(w) for w in vector.weights]
    h = h @ weights[0] + weights[1]
    h = h / (1 + np.exp(-h))
    expected = h @ weights[2] + weights[3]
    assert [w.shape for w in weights] == [(4, 4), (4,), (4, 3), (3,)]
    np.testing.assert_allclose(ops.convert_to_numpy(vector(given)), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("condition", "told"),
    [
        ({"name": "label", "classes": 2, "names": ["a"]}, "names has 1 entries, but classes is 2"),
        ({"name": "label", "classes": 2, "names": ["a", "a"]}, "a name twice"),
        ({"name": "vector", "size": 2, "mean": [0.0]}, "mean has 1 entries, but size is 2"),
        ({"name": "vector", "size": 1, "scale": [0.0]}, "scale must be finite numbers above 0"),
        ({"name": "vector", "size": 1, "hidden": [0]}, "hidden must be widths of at least 1"),
    ],
)
def test_options_that_do_not_fit_are_refused(condition, told):
    from hvae_core.config import parse_config

    with pytest.raises(ConfigError, match=told):
        parse_config({"model": {"condition": condition}})
