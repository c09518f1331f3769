"""An evaluation's bounds by image, and going on from them."""

import importlib
import json

import numpy as np
import pytest
from tiny import merged

import hvae_core as hvae
from hvae_core.errors import BadInputError, HvaeError

#: the package has a function of this name
evaluation = importlib.import_module("hvae_core.evaluation.evaluate")
OPTIONS = {"importance_samples": 3, "batch_size": 4}


def make(seed=0):
    return hvae.build(merged({"train": {"seed": seed}}))


@pytest.fixture(scope="module")
def model():
    return make()


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 17, (10, 8, 8, 1)).astype(np.uint8)


@pytest.fixture
def file(tmp_path):
    return tmp_path / "bounds.json"


@pytest.fixture
def interrupted(monkeypatch):
    """Interrupts the evaluation that the test makes before its second batch of weighted bounds."""
    whole, calls = evaluation.log_likelihood, []

    def interrupt(*args):
        calls.append(len(args[1]))
        if len(calls) == 2:
            raise KeyboardInterrupt
        return whole(*args)

    monkeypatch.setattr(evaluation, "log_likelihood", interrupt)
    return calls


def test_the_file_has_what_the_figures_are_the_means_of(model, images, file):
    figures = hvae.evaluate(model, images, bounds=file, **OPTIONS)
    content = json.loads(file.read_text())
    for key in ("elbo", "importance_weighted"):
        values = np.asarray(content[key])
        assert values.shape == (10,)
        assert values.mean() == pytest.approx(figures[key], rel=1e-6)
        error = values.std(ddof=1) / np.sqrt(10)
        assert error == pytest.approx(figures[f"{key}_standard_error"], rel=1e-5)
    np.testing.assert_allclose(content["elbo"], model.elbo(images).elbo, rtol=1e-5)
    expected = model.log_likelihood(images, 3)
    np.testing.assert_allclose(content["importance_weighted"], expected, rtol=1e-5)
    assert figures == {**hvae.evaluate(model, images, **OPTIONS), "seconds": figures["seconds"]}


@pytest.mark.parametrize("batch_size", [4, 3])
def test_an_interrupted_evaluation_goes_on_to_the_same_figures(
    batch_size, model, images, file, interrupted
):
    whole = hvae.evaluate(model, images, importance_samples=3, batch_size=10)
    interrupted.clear()
    with pytest.raises(KeyboardInterrupt):
        hvae.evaluate(model, images, bounds=file, **OPTIONS)
    assert len(json.loads(file.read_text())["importance_weighted"]) == 4
    told = []
    resumed = hvae.evaluate(
        model,
        images,
        importance_samples=3,
        batch_size=batch_size,
        bounds=file,
        progress=lambda *draws: told.append(draws),
    )
    assert sum(interrupted[2:]) == 6  # the four that were done are not done again
    assert told[-1] == (10 + 6 * 3, 10 + 6 * 3)  # nor are they work that is left
    for key in ("elbo", "importance_weighted", "importance_weighted_standard_error"):
        assert resumed[key] == pytest.approx(whole[key], rel=1e-5)


def test_draws_may_follow_an_elbo_and_a_finished_file_is_kept(model, images, file):
    hvae.evaluate(model, images, bounds=file)
    assert "importance_weighted" not in json.loads(file.read_text())
    hvae.evaluate(model, images, bounds=file, **OPTIONS)
    finished = file.read_bytes()
    hvae.evaluate(model, images, bounds=file)
    hvae.evaluate(model, images, bounds=file, **OPTIONS)
    assert file.read_bytes() == finished


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"importance_samples": 2}, "importance samples 3, not 2"),
        ({"seed": 1}, "seed 0, not 1"),
        ({"limit": 5}, "images 10, not 5"),
    ],
)
def test_another_evaluation_s_file_is_refused_and_kept(options, told, model, images, file):
    hvae.evaluate(model, images, bounds=file, **OPTIONS)
    before = file.read_bytes()
    with pytest.raises(BadInputError, match=f"bounds.json is of another evaluation: {told}"):
        hvae.evaluate(model, images, bounds=file, **{**OPTIONS, **options})
    assert file.read_bytes() == before


def test_another_model_s_or_other_images_file_is_refused_and_kept(model, images, file):
    hvae.evaluate(model, images, bounds=file, **OPTIONS)
    before = file.read_bytes()
    nearly = make()
    for weight in nearly.trainable_variables:
        weight.assign(weight.value * 1.01)
    for args in ((make(seed=1), images), (nearly, images), (model, images[::-1])):
        with pytest.raises(BadInputError, match="of another model, of other weights or of other"):
            hvae.evaluate(*args, bounds=file, **OPTIONS)
    assert file.read_bytes() == before


@pytest.mark.parametrize(
    "content",
    [
        "no JSON",
        "[]",
        "{}",
        '{"about": {}, "elbo": "many"}',
        '{"about": {}, "elbo": [true]}',
        '{"about": {}, "elbo": [-1.0]}',
    ],
)
def test_a_file_of_something_else_is_refused_and_kept(content, model, images, file):
    file.write_text(content)
    with pytest.raises(BadInputError, match=r"bounds\.json") as error:
        hvae.evaluate(model, images, bounds=file, **OPTIONS)
    assert "does not exist yet" in error.value.hint
    assert file.read_text() == content


def test_bounds_of_more_images_than_there_are_are_refused(model, images, file):
    hvae.evaluate(model, images, bounds=file, **OPTIONS)
    content = json.loads(file.read_text())
    content["importance_weighted"].append(-1.0)
    file.write_text(json.dumps(content))
    with pytest.raises(BadInputError, match="more importance-weighted bounds than images"):
        hvae.evaluate(model, images, bounds=file, **OPTIONS)


def test_whole_numbers_of_another_program_and_numpy_s_are_taken(model, images, file):
    options = {"importance_samples": np.int64(3), "seed": np.int64(0), "limit": np.int64(4)}
    hvae.evaluate(model, images, bounds=file, **options)
    content = json.loads(file.read_text())
    content["importance_weighted"] = [-1, -1, -1, -1]
    file.write_text(json.dumps(content))
    assert hvae.evaluate(model, images, bounds=file, **options)["importance_weighted"] == -1


@pytest.mark.parametrize("name", ["taken/bounds.json", "b" * 300])
def test_a_file_that_cannot_be_written_is_told_before_anything_is_computed(
    name, model, images, tmp_path, monkeypatch
):
    (tmp_path / "taken").write_text("")
    monkeypatch.setattr(evaluation, "evaluate_batches", lambda *_: pytest.fail("too late"))
    with pytest.raises(HvaeError, match=r"Cannot write .*(bounds\.json|bbb)"):
        hvae.evaluate(model, images, bounds=tmp_path / name)
