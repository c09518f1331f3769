"""Weights of another model to start from."""

import numpy as np
import pytest

from hvae_core.errors import WeightsError
from hvae_core.training.starting import start_from
from hvae_core.weights import model_arrays

LABEL = {"condition": {"name": "label", "classes": 3, "width": 4}}


@pytest.fixture(scope="module")
def start(make_model):
    return model_arrays(make_model())


def test_a_conditional_model_begins_as_an_unconditional_one(make_model, images, start):
    model = make_model(random_weights=False, model={**LABEL, "conditioning": {"entry": "film"}})
    before = model_arrays(model)
    start_from(model, start)
    after = model_arrays(model)
    assert set(start) < set(after)
    for name, array in after.items():
        np.testing.assert_array_equal(array, start.get(name, before[name]))
    plain = make_model()
    expected = plain.elbo(images).elbo
    for condition in (0, 2):
        np.testing.assert_allclose(model.elbo(images, condition=condition).elbo, expected)


def test_of_a_condition_all_weights_are_given_or_none(make_model, start):
    model = make_model(random_weights=False, model=LABEL)
    arrays = {**start, "condition.table": model_arrays(model)["condition.table"]}
    with pytest.raises(WeightsError, match="does not fit the model"):
        start_from(model, arrays)
    with pytest.raises(WeightsError, match="does not fit the model"):
        start_from(make_model(random_weights=False), model_arrays(model))
