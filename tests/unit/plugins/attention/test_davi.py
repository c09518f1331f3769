"""Depthwise attention against its definition, written out in NumPy."""

import keras
import numpy as np
import pytest
from keras import ops

from hvae_core.config import ModelConfig
from hvae_core.model.shapes import hierarchy_shape
from hvae_core.plugins import manager
from hvae_plugins.attention.davi import layer as davi_layer
from hvae_plugins.attention.davi import sources as davi_sources
from hvae_plugins.attention.davi.sources import Sources, Stack, attention_weights, weighted_sum

MODEL = {
    "resolutions": [8, 4, 2, 1],
    "width": 8,
    "encoder_middle_width": 4,
    "decoder_middle_width": 4,
    "latent_width": 2,
    "encoder_blocks": [1, 0, 1, 0],
    "decoder_blocks": [2, 0, 2, 1],
}


def make(**options):
    model = ModelConfig.model_validate({**MODEL, "attention": {"name": "davi", **options}})
    shape = hierarchy_shape(model)
    attention = model.attention.build(shape, name="attention")
    attention.build(None)
    rng = np.random.default_rng(0)
    for variable in attention.trainable_variables:
        value = ops.convert_to_numpy(variable.value)
        variable.assign(value + rng.normal(0, 0.3, value.shape).astype("f"))
    return shape, attention


def numpy(tensor):
    return np.asarray(ops.convert_to_numpy(tensor)).astype(np.float64)


def random(*shape, seed=0):
    return np.random.default_rng((seed, *shape)).normal(size=shape).astype("f")


def upsampled(x, side):
    factor = side // x.shape[1]
    return x.repeat(factor, axis=1).repeat(factor, axis=2)


def pooled(x, side):
    factor = x.shape[1] // side
    rows, _, _, channels = x.shape
    return x.reshape(rows, side, factor, side, factor, channels).mean(axis=(2, 4))


def softmax(x):
    x = np.exp(x - x.max(-1, keepdims=True))
    return x / x.sum(-1, keepdims=True)


@pytest.fixture
def mixed_sources():
    """Three sources at 2x2, two at 4x4 and two of the reader's own scale, 4x4."""
    stacks = [(2, 3), (4, 2)]
    arrays = [(random(2, s, s, n, 5, seed=1), random(2, s, s, n, 6, seed=2)) for s, n in stacks]
    own = [(random(2, 4, 4, 5, seed=i), random(2, 4, 4, 6, seed=i)) for i in (3, 4)]
    convert = ops.convert_to_tensor
    sources = Sources(
        tuple(Stack(convert(k), convert(v)) for k, v in arrays),
        tuple(convert(k) for k, _ in own),
        tuple(convert(v) for _, v in own),
    )
    keys = [upsampled(k[:, :, :, i], 4) for k, _ in arrays for i in range(k.shape[3])]
    values = [upsampled(v[:, :, :, i], 4) for _, v in arrays for i in range(v.shape[3])]
    return sources, keys + [k for k, _ in own], values + [v for _, v in own]


def test_the_weights_are_a_softmax_over_all_sources_and_sum_to_one(mixed_sources):
    sources, keys, values = mixed_sources
    query = random(2, 4, 4, 3, 5)
    weights = attention_weights(ops.convert_to_tensor(query), sources)
    assert tuple(weights.shape) == (2, 4, 4, 3, 7)
    np.testing.assert_allclose(numpy(weights).sum(-1), 1.0, atol=1e-6)
    scores = np.einsum("bhwqd,nbhwd->bhwqn", query, np.stack(keys)) / np.sqrt(5)
    np.testing.assert_allclose(numpy(weights), softmax(scores), atol=1e-5)
    found = weighted_sum(weights, sources)
    expected = np.einsum("bhwqn,nbhwc->bhwqc", softmax(scores), np.stack(values))
    np.testing.assert_allclose(numpy(found), expected, atol=1e-5)


def written_out(y, query, keys, values, reader):
    """``y + g (a + gelu(LN(a)))`` for one query."""
    from scipy.special import erf

    scores = np.stack([(query * key).sum(-1) for key in keys], -1) / np.sqrt(query.shape[-1])
    a = np.einsum("bhwn,nbhwc->bhwc", softmax(scores), np.stack(values))
    centred = a - a.mean(-1, keepdims=True)
    normal = centred / np.sqrt(a.var(-1, keepdims=True) + 1e-5)
    normal = normal * numpy(reader.norm.gamma) + numpy(reader.norm.beta)
    return y + numpy(reader.gate) * (a + 0.5 * normal * (1 + erf(normal / np.sqrt(2))))


def test_layers_read_what_is_above_and_what_the_encoder_saw_finer():
    """The whole pass: pooled and upsampled by NumPy, one layer after the other."""
    pytest.importorskip("scipy")
    shape, attention = make(query_width=5)
    convert = ops.convert_to_tensor
    features = [random(2, s.resolution, s.resolution, 8, seed=5) for s in shape.scales]
    state = attention.start([convert(f) for f in features])
    written, place = [], 0
    for scale in reversed(shape.scales):
        side = scale.resolution
        state = attention.resize(state, scale.index)
        for _ in range(scale.latent_layers):
            x, h = (random(2, side, side, 8, seed=(6, place, i)) for i in range(2))
            got = attention.read_prior(state, convert(x), place)
            if place > 1:
                reader = attention.priors[place]
                keys = [
                    upsampled(numpy(attention.layer_keys[j](ops.silu(convert(w)))), side)
                    for j, w in enumerate(written)
                ]
                values = [upsampled(w, side) for w in written]
                expected = written_out(x, numpy(reader.query(convert(x))), keys, values, reader)
                np.testing.assert_allclose(numpy(got), expected, atol=1e-4)
            stream = got
            got = attention.read_posterior(state, stream, convert(features[scale.index]), place)
            if scale.index > 1:
                reader = attention.posteriors[place]
                finer = features[: scale.index]
                keys = [
                    pooled(numpy(key(ops.silu(convert(f)))), side)
                    for key, f in zip(attention.scale_keys, finer, strict=False)
                ]
                values = [pooled(f, side) for f in finer]
                query = numpy(reader.query(stream))
                expected = written_out(features[scale.index], query, keys, values, reader)
                np.testing.assert_allclose(numpy(got), expected, atol=1e-4)
            if scale.index == 0:  # no scale is finer
                np.testing.assert_array_equal(numpy(got), features[0])
            state = attention.write(state, convert(h), place)
            written.append(h)
            place += 1


def test_queries_and_keys_are_as_wide_and_many_as_asked_for():
    _, attention = make(query_width=5, queries=3)
    reader = attention.priors[2]
    x = ops.convert_to_tensor(random(1, *[reader.scale.resolution] * 2, 8))
    assert reader.query(x).shape[-1] == 3 * 5
    assert reader.merge.kernel.shape[-2:] == (3 * 8, 8)
    assert {key.filters for key in (*attention.layer_keys, *attention.scale_keys)} == {5}


def test_one_source_leaves_no_choice_and_has_no_query():
    _, attention = make()
    assert attention.priors[1].query is None
    assert attention.priors[2].query is not None
    x, h = (ops.convert_to_tensor(random(1, s, s, 8)) for s in (2, 1))
    state = attention.write(attention.start(None), h, 0)
    state = attention.resize(state, 2)
    weights = attention.priors[1].weights_over(x, state.decoder)
    np.testing.assert_array_equal(numpy(weights), np.ones((1, 2, 2, 1, 1)))


@pytest.mark.parametrize("blocks", [1, 4])
def test_resizing_is_linear_in_scales_and_free_of_depth(blocks, monkeypatch):
    """Keys and values are pooled once between two scales, and never upsampled."""
    calls, kept = [], []
    real = davi_sources.pool_average
    monkeypatch.setattr(
        davi_sources, "pool_average", lambda x, factor: calls.append(factor) or real(x, factor)
    )
    changes = {"encoder_blocks": blocks, "decoder_blocks": blocks}
    shape = hierarchy_shape(ModelConfig.model_validate({**MODEL, **changes}))
    attention = davi_layer.Davi(manager().get("attention", "davi").config(), shape)
    attention.build(None)

    class Descent(keras.layers.Layer):
        built = True

        def call(self, features):
            calls.clear()
            state, place, given = attention.start(features), 0, []
            for scale in reversed(shape.scales):
                state = attention.resize(state, scale.index)
                for _ in range(blocks):
                    h = features[scale.index]
                    x = attention.read_prior(state, h, place)
                    given.append(attention.read_posterior(state, x, h, place))
                    state = attention.write(state, h, place)
                    place += 1
            kept[:] = [tuple(stack.values.shape[1:]) for stack in state.decoder.stacks]
            return given

    # Traced, not computed.
    Descent()([keras.Input((s.resolution, s.resolution, 8)) for s in shape.scales])
    assert calls == [2, 2] * 3  # keys and values, three times
    # Each layer's value is kept once, at its own scale.
    assert kept == [(side, side, blocks, 8) for side in (1, 2, 4)]
