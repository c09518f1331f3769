"""Attention inside the hierarchy."""

import keras
import numpy as np
import pytest
from keras import ops

import hvae_core as hvae
from hvae_core.backends.compiling import compiled
from hvae_core.config import parse_config
from hvae_core.errors import ConfigError
from hvae_core.training.step import build_step
from hvae_core.weights import weight_names

DAVI = {"name": "davi", "query_width": 4, "queries": 2}
EMPTY = {"resolutions": [8, 4, 2, 1], "encoder_blocks": 0, "decoder_blocks": [1, 0, 2, 1]}


def gates(model):
    return {n: v for n, v in weight_names(model).items() if n.endswith(".gate")}


@pytest.mark.parametrize(
    "changes",
    [{}, {**EMPTY, "readout": {"kind": "features"}, "mixing_block": [0, 0, 1, 0]}],
    ids=["latents", "features, empty scales"],
)
def test_with_gates_at_zero_it_is_the_model_without_attention(make_model, images, changes):
    plain = make_model(model=changes)
    model = make_model(model={**changes, "attention": DAVI})
    names = weight_names(model)
    for name, variable in weight_names(plain).items():
        names[name].assign(variable.value)
    for gate in gates(model).values():
        gate.assign(0.0)
    # Compiled, two programs round differently.
    rtol = 0 if keras.config.backend() == "torch" else 1e-5
    for figure in ("elbo", "kl_per_layer"):
        got, expected = (getattr(m.elbo(images, seed=2), figure) for m in (model, plain))
        np.testing.assert_allclose(got, expected, rtol=rtol)
    np.testing.assert_array_equal(model.sample(3, seed=1), plain.sample(3, seed=1))
    for gate in gates(model).values():
        gate.assign(0.5)
    moved, expected = (m.elbo(images, seed=2) for m in (model, plain))
    assert np.abs(moved.elbo - expected.elbo).min() > 1e-3
    assert np.abs(moved.kl_per_layer - expected.kl_per_layer).max() > 1e-3


def test_it_starts_as_the_same_seed_s_model_without_attention(make_model, images):
    plain, model = (
        make_model(random_weights=False, model={"attention": attention})
        for attention in (None, DAVI)
    )
    assert len(gates(model)) == 5  # three priors, and posteriors at two scales
    names = weight_names(model)
    for name, variable in weight_names(plain).items():
        np.testing.assert_array_equal(
            ops.convert_to_numpy(names[name].value), ops.convert_to_numpy(variable.value)
        )
    assert not any(ops.convert_to_numpy(gate.value).any() for gate in gates(model).values())


def test_gates_move_and_gradients_reach_all_queries_and_keys(make_model, images):
    """Adam moves a weight as soon as it has a gradient; nothing else does, without decay."""
    train = {"optimizer": "adam", "weight_decay": 0}
    model = make_model(random_weights=False, model={"attention": DAVI}, train=train)
    mine = {n: v for n, v in weight_names(model).items() if n.startswith("attention.")}
    step = build_step(model, model.config.train)

    def update(numbers):
        for number in numbers:
            step(images[:4], step=number, learning_rate=1e-2, beta=1.0)
        step.sync()
        return {name: np.array(ops.convert_to_numpy(v.value)) for name, v in mine.items()}

    before = update(range(4))
    opened = {name: value for name, value in before.items() if name.endswith(".gate")}
    assert all(abs(value) > 1e-4 for value in opened.values()), opened
    after = update([4])
    for name, value in after.items():
        assert (value != before[name]).any(), name
    for part in (".query.", ".key.", ".merge."):
        assert any(part in name for name in mine)


def test_generation_with_the_posterior_s_latents_gives_the_same_parameters(make_model, images):
    """Priors read the same on both ways down; so does a pass along given latents."""
    model = make_model(model={**EMPTY, "attention": DAVI})
    rng = np.random.default_rng(0)
    noise = [rng.normal(size=(len(images), *s)).astype("f") for s in model.latent_shapes]

    def passes(x, *noise):
        out = model.infer(x, noise)
        latents = [layer.z for layer in out.layers]
        followed = [
            posterior.parameters for posterior in model.posteriors_along(out.features, latents)
        ]
        drawn = [layer.posterior for layer in out.layers]
        return (out.parameters, drawn), (model.generate(noise, 1.0, latents), followed)

    outputs = compiled(passes, model.variables)(*map(ops.convert_to_tensor, (images, *noise)))
    for one, other in zip(*map(keras.tree.flatten, outputs), strict=True):
        np.testing.assert_allclose(
            ops.convert_to_numpy(one), ops.convert_to_numpy(other), atol=1e-5
        )
    assert model.reconstruct(images, latents=2).shape == images.shape


def test_it_saves_and_loads(make_model, images, tmp_path):
    model = make_model(model={"attention": DAVI})
    model.save(tmp_path / "preset")
    again = hvae.load(tmp_path / "preset")
    assert again.config == model.config
    np.testing.assert_allclose(again.elbo(images).elbo, model.elbo(images).elbo, rtol=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"attention": {"name": "davi", "queries": 0}}, "model.attention.queries is 0"),
        ({"attention": {"name": "davi", "width": 3}}, "Unknown key 'model.attention.width'"),
        ({"attention": "davi", "width": [8, 8, 8, 8, 16]}, "model.width must be equal"),
    ],
)
def test_bad_options_are_told(options, message):
    with pytest.raises(ConfigError, match=message):
        parse_config({"model": options})
