"""A model behaves as Keras's own do: called, predicted with, summarised, fitted, evaluated."""

import keras
import numpy as np
import pytest
from keras import ops

from hvae_core.backends.compiling import compiled
from hvae_core.errors import BadInputError, ConfigError
from hvae_core.inference.rows import latent_noise
from hvae_core.weights import model_arrays

pytestmark = pytest.mark.every_backend


def weights(model):
    return {v.path: ops.convert_to_numpy(v.value) for v in model.trainable_variables}


@pytest.fixture(scope="module")
def model(make_model):
    return make_model()


def test_a_call_is_the_mean_at_latents_that_reconstruct_draws(model, images):
    noise = latent_noise(model, np.arange(len(images)), seed=3)

    def mean(x, *noise):
        return model.likelihood.mean(model.infer(x, noise).parameters)

    expected = ops.convert_to_numpy(compiled(mean, model.variables)(images, *noise))
    drawn = ops.convert_to_numpy(model(images, seed=3))
    assert drawn.shape == images.shape
    assert drawn.dtype == np.float32
    np.testing.assert_allclose(drawn, expected, atol=1e-3)
    given = ops.convert_to_numpy(model(ops.convert_to_tensor(images), noise=noise))
    np.testing.assert_array_equal(given, drawn)
    assert np.abs(drawn - ops.convert_to_numpy(model(images))).max() > 0.01
    for wrong in (images[:, :4], images[0]):
        with pytest.raises(BadInputError, match=r"x has shape .*\[B, 8, 8, 1\]"):
            model(wrong)


def test_predict_gives_the_same_whatever_the_batches_are(model, images):
    expected = ops.convert_to_numpy(model(images, seed=1))
    whole = model.predict(images, batch_size=2, verbose=0, seed=1)
    np.testing.assert_allclose(whole, expected, atol=1e-3)

    class Pairs(keras.utils.PyDataset):
        def __len__(self):
            return 3

        def __getitem__(self, index):
            return images[2 * index : 2 * index + 2], np.zeros(2)

    np.testing.assert_allclose(model.predict(Pairs(), verbose=0, seed=1), whole, atol=1e-3)
    with pytest.raises(BadInputError, match="whole numbers from 0 to 255"):
        model.predict(images / 255.0)


def test_the_summary_has_shapes(model):
    lines = []
    model.summary(print_fn=lines.append)
    text = "\n".join(lines)
    assert "?" not in text
    assert "(None, 8, 8, 8)" in text
    assert "(None, 8, 8, 6)" in text
    assert f"{model.count_params():,}" in text


def test_it_is_a_layer_of_a_functional_model(model, images):
    start = keras.Input((8, 8, 1), dtype="uint8")
    scaled = keras.Model(start, model(start) / 255.0)
    assert scaled.output_shape == (None, 8, 8, 1)
    expected = ops.convert_to_numpy(model(images)) / 255.0
    np.testing.assert_allclose(ops.convert_to_numpy(scaled(images)), expected, atol=1e-5)


def test_fit_trains_the_bound(make_model, images):
    small = {"resolutions": [4, 1], "patch_size": 2, "encoder_blocks": 0, "decoder_blocks": 1}
    model = make_model(random_weights=False, model=small)
    before = weights(model)
    sampled = []
    watch = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: sampled.append(model.sample(1))
    )
    model.compile(keras.optimizers.Adam(2e-2))
    start = model.evaluate(images, verbose=0, return_dict=True)
    history = model.fit(
        images,
        epochs=4,
        batch_size=2,
        shuffle=False,
        verbose=0,
        validation_data=images,
        callbacks=[watch],
    ).history
    figures = {"loss", "elbo", "log_likelihood", "kl", "bits_per_dim"}
    assert set(history) == figures | {f"val_{name}" for name in figures}
    assert history["loss"][-1] < history["loss"][0]
    end = model.evaluate(images, verbose=0, return_dict=True)
    assert end["loss"] < start["loss"] - 0.05
    assert end == model.evaluate(images, verbose=0, return_dict=True)
    np.testing.assert_allclose(end["loss"], -end["elbo"] / 64, rtol=1e-5)
    np.testing.assert_allclose(end["loss"] / np.log(2), end["bits_per_dim"], rtol=1e-5)
    np.testing.assert_allclose(history["val_loss"][-1], end["loss"], rtol=1e-5)
    after = weights(model)
    assert all((after[name] != value).any() for name, value in before.items())
    assert len(sampled) == 4


def test_what_is_evaluated_has_noise_of_its_own_whatever_the_batches_are(make_model, images):
    """An image's is that of its place: the figures are those of the model's own bound."""
    model = make_model()
    model.compile(run_eagerly=True)
    expected = model.elbo(images, seed=model.initial_seed).elbo.mean()
    one = np.repeat(images[:1], 4, axis=0)
    of_one = model.elbo(one, seed=model.initial_seed).elbo.mean()

    class Pairs(keras.utils.PyDataset):
        def __len__(self):
            return 3

        def __getitem__(self, index):
            return (images[2 * index : 2 * index + 2],)

    def evaluated(x, **options):
        return model.evaluate(x, verbose=0, return_dict=True, **options)["elbo"]

    batches = [Pairs()[i] for i in range(3)]
    for x, size in ((images, 2), (images, 3), ({"images": images}, 2), (one, 2), (Pairs(), None),
                    (iter(batches), None)):  # fmt: skip
        found = evaluated(x, **({} if size is None else {"batch_size": size}))
        np.testing.assert_allclose(found, of_one if x is one else expected, rtol=1e-5)
    model.optimizer.learning_rate = 0.0
    for x, held_out in (
        (images, {"validation_data": images, "validation_batch_size": 2}),
        (images, {"validation_data": (images,)}),
        ({"images": images}, {"validation_data": Pairs()}),
        (np.concatenate([one, images]), {"validation_split": 5 / 9}),
    ):
        history = model.fit(x, epochs=2, verbose=0, batch_size=3, **held_out).history
        np.testing.assert_allclose(history["val_elbo"], expected, rtol=1e-5)


def test_frozen_layers_stay_in_fit(make_model, images):
    model = make_model()
    model.encoder.trainable = False
    before = weights(model.encoder) or {
        v.path: ops.convert_to_numpy(v.value) for v in model.encoder.variables
    }
    model.compile()
    model.fit(images, verbose=0)
    for variable in model.encoder.variables:
        np.testing.assert_array_equal(ops.convert_to_numpy(variable.value), before[variable.path])


def test_compile_takes_the_configuration_s_optimizer(make_model):
    train = {"optimizer": "adamw", "learning_rate": 0.02, "weight_decay": 0.1, "clip_norm": 3.0}
    model = make_model(random_weights=False, train={"batch_size": 4, "steps": 10, **train})
    model.compile()
    assert isinstance(model.optimizer, keras.optimizers.AdamW)
    np.testing.assert_allclose(float(model.optimizer.learning_rate), 0.02, rtol=1e-6)
    assert model.optimizer.weight_decay == 0.1
    assert model.optimizer.global_clipnorm == 3.0


@pytest.mark.parametrize(
    ("call", "error", "sentence"),
    [
        (lambda model, x: model.compile(loss="mse"), BadInputError, "compile was given loss"),
        (lambda model, x: model.compile(metrics=["mae"]), BadInputError, "given metrics"),
        (lambda model, x: model.fit(x, x), BadInputError, "The data have targets"),
        (lambda model, x: model.evaluate(x, x), BadInputError, "The data have targets"),
        (lambda model, x: model.fit(x, validation_data=(x, x)), BadInputError, "have targets"),
        (lambda model, x: model.fit(x[:, :4]), BadInputError, r"\[B, 8, 8, 1\]"),
        (lambda model, x: model.fit(x / 255.0), BadInputError, "whole numbers"),
    ],
)
def test_what_cannot_be_fitted_is_told(make_model, images, call, error, sentence):
    model = make_model(random_weights=False)
    model.compile(run_eagerly=True)
    with pytest.raises(error, match=sentence):
        call(model, images)


def test_a_regularizer_is_for_hvae_train(make_model, images):
    model = make_model(random_weights=False, regularizer="cr-vae")
    model.compile()
    with pytest.raises(ConfigError, match=r"'cr-vae'.*hvae\.train"):
        model.fit(images)


SMALL = {"resolutions": [8, 1], "encoder_blocks": 1, "decoder_blocks": 1}
CONDITIONS = {
    "label": ({"name": "label", "classes": 3}, [0, 1, 2, 1, 0]),
    "vector": ({"name": "vector", "size": 2}, np.arange(1, 11).reshape(5, 2)),
}


@pytest.mark.parametrize(("condition", "given"), CONDITIONS.values(), ids=CONDITIONS)
@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_fit_trains_the_null_condition_and_evaluate_does_not_see_it(
    make_model, images, condition, given, dropout
):
    model = make_model(model={**SMALL, "condition": {**condition, "dropout": dropout}})
    values, seen = model.condition_values, []
    embed = model.embed
    model.embed = lambda c: seen.append(ops.convert_to_numpy(c)) or embed(c)
    model.compile(keras.optimizers.SGD(1e-3), run_eagerly=True)
    rows = {"images": np.repeat(images, 8, axis=0), "condition": np.repeat(given, 8, axis=0)}
    model.fit(rows, epochs=2, batch_size=40, shuffle=False, verbose=0)
    own, null = values.encode(rows["condition"], 40), values.nulls(40)
    masks = []
    for found in seen[-2:]:
        is_null = (found == null).reshape(40, -1).all(axis=1)
        np.testing.assert_array_equal(found[~is_null], own[~is_null])
        masks.append(is_null)
    if dropout:
        assert all(5 < mask.sum() < 35 for mask in masks)
        assert (masks[0] != masks[1]).any()
    else:
        assert not np.any(masks)
    seen.clear()
    model.evaluate(rows, batch_size=40, verbose=0)
    np.testing.assert_array_equal(seen[-1], own)


def test_what_the_configuration_freezes_is_not_trained_by_fit(make_model, images):
    model = make_model(model=SMALL, train={"freeze": ["encoder", "decoder.*.prior"]})
    before = model_arrays(model)
    model.compile(keras.optimizers.SGD(1e-2))
    model.fit(images, verbose=0)
    for name, array in model_arrays(model).items():
        is_frozen = name.startswith("encoder.") or ".prior." in name
        assert (array == before[name]).all() == is_frozen, name
    model.compile(keras.optimizers.SGD(1e-2))
    for weight in model.encoder.weights:
        weight.trainable = True
    model.fit(images, verbose=0)
    after = model_arrays(model)
    assert (after["encoder.stem.kernel"] != before["encoder.stem.kernel"]).any()
    wrong = make_model(random_weights=False, model=SMALL, train={"freeze": ["encodr"]})
    with pytest.raises(ConfigError, match=r"train\.freeze has 'encodr', which names no weight"):
        wrong.compile()


def test_groups_of_weights_are_for_hvae_train_or_an_optimizer_of_one_s_own(make_model, images):
    groups = [{"weights": ["encoder"], "learning_rate_factor": 0.1}]
    model = make_model(random_weights=False, model=SMALL, train={"parameter_groups": groups})
    model.compile()
    with pytest.raises(ConfigError, match=r"train\.parameter_groups.*hvae\.train"):
        model.fit(images)
    assert np.isfinite(model.evaluate(images, verbose=0, return_dict=True)["loss"])
    model.compile(keras.optimizers.SGD(1e-3))
    model.fit(images, verbose=0)


MEASURED = {"measurement": "columns:0.25", "model": {"input_channels": 2}}


def test_another_objective_is_for_hvae_train(make_model, images):
    train = {"objective": "partial-posterior"}
    model = make_model(random_weights=False, **MEASURED, train=train)
    model.compile()
    before = model.get_weights()
    with pytest.raises(ConfigError, match=r"train.objective is partial-posterior.*hvae\.train"):
        model.fit({"images": images, "inputs": np.zeros((5, 8, 8, 2), "f")})
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_a_model_that_sees_measurements_asks_for_them(make_model, images):
    model = make_model(random_weights=False, **MEASURED)
    model.compile()
    for call in (model, model.predict, model.fit, model.evaluate, lambda x: model({"images": x})):
        with pytest.raises(BadInputError, match=r"sees 2 channels.*encoder_inputs\(y, mask\)"):
            call(images)
    mask = np.zeros((8, 8), bool)
    mask[:, :4] = True
    inputs = model.encoder_inputs(images, mask)
    expected = model.predict({"images": images, "inputs": inputs}, verbose=0)
    assert expected.shape == images.shape
    # Whatever stands in the unknown pixels.
    holes = np.where(mask[..., None], images, 77).astype(np.uint8)
    np.testing.assert_array_equal(model.encoder_inputs(holes, mask), inputs)
    np.testing.assert_array_equal(inputs[..., 1], np.broadcast_to(mask, (5, 8, 8)))


@pytest.mark.parametrize("name", ["banana", "mixed_float16", "bfloat16", None])
def test_an_unknown_precision_is_told(make_model, name):
    from hvae_core.model.network import HierarchicalNetwork

    config = make_model(random_weights=False).config
    with pytest.raises(ConfigError, match=r"precision is .* float32 or mixed_bfloat16\."):
        HierarchicalNetwork(config.model, config.build_likelihood(), precision=name)


def test_keras_leaves_the_sentence_of_an_error_as_it_is(make_model, images):
    with pytest.raises(BadInputError) as caught:
        make_model(random_weights=False)(images[:, :4])
    assert str(caught.value).startswith("x has shape [5, 4, 8, 1]; the model needs images")
    assert caught.value.hint
