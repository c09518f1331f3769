"""Each option of the model does what it says: to the weights, or to the numbers."""

import math
import types

import keras
import numpy as np
import pytest
from keras import ops

from hvae_core.backends.compiling import compiled
from hvae_core.interfaces import Block
from hvae_core.layers import convolution
from hvae_core.plugins import ComponentSpec, hookimpl, manager
from hvae_core.prob.noise import Noise, draw_normal


def shapes(model):
    """Shapes of the weights by path, without the model's name."""
    return {v.path.partition("/")[2]: tuple(v.shape) for v in model.variables}


def features(model, images):
    """The encoder's features, coarsest last."""
    x = ops.convert_to_tensor(images.astype(np.float32) / 127.5 - 1.0)
    encoder = compiled(model.encoder, model.variables)
    return [ops.convert_to_numpy(f) for f in encoder(x)]


def layers(model):
    return [layer for group in model.decoder.layers_by_stage for layer in group]


def test_widths_are_those_of_each_scale(make_model):
    model = make_model(
        model={
            "width": [4, 8, 12],
            "encoder_middle_width": [2, 3, 5],
            "decoder_middle_width": [6, 7, 9],
            "latent_width": [1, 2, 3],
            "encoder_blocks": 1,
            "decoder_blocks": 1,
        }
    )
    found = shapes(model)
    assert [found[f"encoder/blocks-{i}/conv1/kernel"][-2:] for i in range(3)] == [
        (4, 2), (8, 3), (12, 5),
    ]  # fmt: skip
    # coarsest first
    assert [found[f"decoder/blocks-{i}/prior/conv1/kernel"][-2:] for i in range(3)] == [
        (12, 9), (8, 7), (4, 6),
    ]  # fmt: skip
    assert model.latent_shapes == [(1, 1, 3), (4, 4, 2), (8, 8, 1)]


def test_there_are_as_many_blocks_as_asked_for_and_any_scale_may_have_none(make_model):
    model = make_model(model={"encoder_blocks": [2, 0, 3], "decoder_blocks": [3, 0, 2]})
    assert [len(blocks) for blocks in model.encoder.blocks] == [2, 0, 3]
    assert [shape[0] for shape in model.latent_shapes] == [1, 1, 8, 8, 8]


def test_the_stem_folds_patches_of_the_image_s_channels(make_model):
    changes = {"patch_size": 2, "resolutions": [4, 2, 1], "image_channels": 3}
    model = make_model(model=changes)
    assert model.image_shape == (8, 8, 3)
    assert shapes(model)["encoder/stem/kernel"] == (2, 2, 3, 8)
    assert shapes(make_model())["encoder/stem/kernel"] == (3, 3, 1, 8)


@pytest.mark.every_backend
def test_pixels_are_standardised_as_asked_for(make_model, images, monkeypatch):
    model = make_model(model={"input_mean": 100.0, "input_scale": 50.0})
    seen, call = [], type(model.encoder).call
    monkeypatch.setattr(
        type(model.encoder), "call", lambda self, x: seen.append(x) or call(self, x)
    )

    def standardised(x, flat):
        model.infer(x, Noise.from_flat(flat, model.latent_shapes))
        return seen[-1]

    arrays = images, draw_normal(model.latent_shapes, len(images), 0)
    got = compiled(standardised, model.variables)(*map(ops.convert_to_tensor, arrays))
    expected = (images.astype(np.float32) - 100.0) / 50.0
    np.testing.assert_allclose(ops.convert_to_numpy(got), expected, atol=1e-6)


def test_a_pooling_block_belongs_to_the_way_down(make_model, images):
    changes = {"encoder_blocks": [2, 1, 1]}
    plain, pooling = (
        make_model(model={**changes, "pooling_block": flag}) for flag in (False, True)
    )
    for model in (plain, pooling):
        before = features(model, images)
        last = model.encoder.blocks[0][-1].convolutions[-1].kernel
        last.assign(ops.convert_to_numpy(last.value) + 1.0)
        after = features(model, images)
        moved = [np.abs(a - b).max() > 1e-3 for a, b in zip(before, after, strict=True)]
        assert moved == [model is plain, True, True]


def test_the_coarser_stream_enters_before_the_mixing_block(make_model, forward, images):
    """A layer before it knows nothing of the coarser latents."""
    for place, depends in ((0, True), (1, False)):
        model = make_model(model={"mixing_block": [place, 0, 0]})
        first, other = (forward(model, images, seed)[0].layers[2] for seed in (0, 1))
        means = [ops.convert_to_numpy(layer.prior.mean) for layer in (first, other)]
        assert (np.abs(means[0] - means[1]).max() > 1e-6) == depends


class Plain(Block, keras.layers.Layer):
    """One convolution."""

    def __init__(self, shape, name):
        super().__init__(name=name)
        self.inner = convolution(shape.out_width, 1, name="only", gain=shape.output_gain)

    def build(self, input_shape):
        self.inner.build(input_shape)

    def call(self, x):
        return self.inner(x)


def test_another_block_is_used_everywhere(make_model):
    module = types.ModuleType("plain_block")

    def build(options, shape, name):
        return Plain(shape, name)

    spec = ComponentSpec(kind="block", name="plain", summary="", builder=build)
    module.hvae_component = hookimpl(lambda: spec)
    module.hvae_component.__name__ = "hvae_component"
    manager().register(module)
    try:
        found = shapes(make_model(model={"block": "plain"}))
    finally:
        manager().unregister("block", "plain")
    blocks = {path.rpartition("/")[0] for path in found if "blocks-" in path}
    assert all(path.endswith(("only", "projection")) for path in blocks)


def test_activations(make_model, images):
    model = make_model(
        model={"block_activation": "gelu", "pool_activation": "relu", "encoder_blocks": 0}
    )
    assert layers(model)[0].prior.activate is keras.activations.gelu
    assert model.readout.activate is keras.activations.gelu
    # without blocks, a coarser scale's features are what the activation gives
    assert all(f.min() == 0 < f.max() for f in features(model, images)[1:])
    smooth = make_model(model={"pool_activation": "softplus", "encoder_blocks": 0})
    assert all(f.min() > 0 for f in features(smooth, images)[1:])


@pytest.mark.every_backend
def test_a_leaky_relu_has_the_slope_that_is_asked_for(make_model, images):
    changes = {"block_activation": "leaky_relu", "pool_activation": "leaky_relu"}
    for more, slope in (({}, 0.2), ({"leaky_relu_slope": 0.1}, 0.1)):
        model = make_model(model={**changes, **more})
        parts = (
            layers(model)[0].prior, model.encoder.blocks[0][0], model.encoder.transitions[0],
            model.decoder.transitions[0], model.readout, model.readout.blocks[0],
        )  # fmt: skip
        for part in parts:
            got = ops.convert_to_numpy(part.activate(ops.convert_to_tensor([-2.0, 3.0])))
            np.testing.assert_allclose(got, [-2.0 * slope, 3.0], rtol=1e-6)
    assert all(np.isfinite(f).all() for f in features(model, images))


def test_channels_change_by_a_projection_or_by_padding(make_model):
    widths = {"width": [4, 8, 8]}
    projected = shapes(make_model(model=widths))
    assert projected["encoder/transitions-4/projection/kernel"][-2:] == (4, 8)
    padded = make_model(model={**widths, "channel_change": "pad"})
    assert not [path for path in shapes(padded) if "transitions" in path]


@pytest.mark.every_backend
def test_group_norm_has_eight_groups_in_every_block(make_model):
    wide = {"width": 16, "encoder_middle_width": 16, "decoder_middle_width": 16}
    model = make_model(
        model={**wide, "norm": "group", "readout": {"width": 16, "middle_width": 16}}
    )
    blocks = [model.encoder.blocks[0][0], layers(model)[0].prior, model.readout.blocks[0]]
    for block in blocks:
        assert [norm.groups for norm in block.norms] == [8] * 4
    assert not [path for path in shapes(make_model(model=wide)) if "norm" in path]


@pytest.mark.parametrize(
    "changes",
    [
        {"decoder_width": [16, 24, 40]},
        {"decoder_width": 24, "skip_projections": True, "readout": {"kind": "features"}},
        {"encoder_blocks": [1, 0, 1], "decoder_blocks": [1, 1, 0], "residual_blocks": 0},
        {"image_channels": 8, "prior": {"name": "diffusion-vampprior", "size": 2, "steps": 2}},
        {"attention": "davi"},
    ],
)
def test_the_channels_that_are_checked_are_those_that_are_normalised(make_model, changes):
    model = make_model(
        random_weights=False,
        model={
            "norm": "group",
            "width": 32,
            "encoder_middle_width": 48,
            "decoder_middle_width": 56,
            "readout": {"kind": "latents", "width": 64, "middle_width": 72},
            **changes,
        },
        likelihood="bernoulli",
    )
    built = {
        int(layer.gamma.shape[0])
        for layer in model._flatten_layers()
        if isinstance(layer, keras.layers.GroupNormalization)
    }
    assert {channels for _, channels in model.config.model.normalised_channels()} == built


def test_depthwise_convolutions_are_in_encoder_decoder_and_readout(make_model):
    once = shapes(make_model(model={"conv": "depthwise5-once"}))
    assert "encoder/blocks-0/conv3/kernel" not in once
    found = shapes(make_model(model={"conv": "depthwise5"}))
    for name in ("conv2", "conv3"):
        assert found[f"encoder/blocks-0/{name}/kernel"] == (5, 5, 4, 1)
    deep = {path for path, shape in found.items() if shape[:2] == (5, 5)}
    assert {path.partition("/")[0] for path in deep} == {"encoder", "decoder", "readout"}
    assert all(found[path][-1] == 1 for path in deep)
    # 1x1 below 8x8: the layers at 4x4 and 1x1
    assert found["decoder/blocks-0/prior/conv2/kernel"][:2] == (1, 1)
    assert found["decoder/blocks-1/prior/conv3/kernel"][:2] == (1, 1)
    assert found["encoder/blocks-1/conv2/kernel"][:2] == (1, 1)


def test_large_kernels_reach_encoder_and_decoder(make_model):
    changes = {"resolutions": [128, 64, 2], "encoder_blocks": 1, "decoder_blocks": 1}
    for large, side in ((False, 3), (True, 5)):
        found = shapes(make_model(False, model={**changes, "large_kernels": large}))
        assert found["encoder/blocks-0/conv2/kernel"][:2] == (side, side)
        assert found["decoder/blocks-2/prior/conv2/kernel"][:2] == (side, side)
        assert found["encoder/blocks-1/conv2/kernel"][:2] == (3, 3)
        assert found["encoder/blocks-2/conv2/kernel"][:2] == (1, 1)


@pytest.mark.parametrize(
    ("changes", "sides"),
    [({}, {1, 4, 8}), ({"top": "zeros"}, {4, 8}), ({"no_bias_above": 4}, {1, 4}),
     ({"no_bias_above": 0}, set()),
     # the start is there without a latent layer at the coarsest scale, too
     ({"decoder_blocks": [1, 1, 0]}, {1, 4, 8}), ({"decoder_blocks": [1, 0, 1]}, {1, 8})],
)  # fmt: skip
def test_streams_start_from_learned_biases(make_model, changes, sides):
    found = shapes(make_model(model=changes))
    assert found.keys() & {f"decoder/bias-{side}" for side in (1, 4, 8)} == {
        f"decoder/bias-{side}" for side in sides
    }


@pytest.mark.every_backend
@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"standard_deviation": "exp"}, 0.5),
        ({}, math.log(math.log1p(math.exp(0.5 * math.log(2.0))) / math.log(2.0))),
        ({"softplus_beta": 2.0}, math.log(math.log1p(math.exp(1.0)) / 2.0)),
        ({"standard_deviation": "scaled-exp", "softplus_beta": 2.0}, 1.0),
    ],
)
def test_the_standard_deviation_of_a_channel(make_model, forward, images, changes, expected):
    """exp(r), or log(1 + exp(beta r)) / beta, of the network's output r = 0.5."""
    model = make_model(random_weights=False, model=changes)
    bias = layers(model)[0].prior.convolutions[-1].bias
    bias.assign(np.full(bias.shape, 0.5, np.float32))  # its kernel starts at 0
    log_std = ops.convert_to_numpy(forward(model, images)[0].layers[0].prior.log_std)
    np.testing.assert_allclose(log_std, expected, atol=1e-5)


def test_the_readout_s_blocks_and_widths(make_model):
    readout = {"blocks": 2, "width": 12, "middle_width": 5}
    found = shapes(make_model(model={"readout": readout}))
    assert [found[f"readout/blocks-{i}/conv1/kernel"][-2:] for i in (0, 1)] == [(12, 5), (12, 5)]
    assert "readout/blocks-2/conv1/kernel" not in found
    assert found["readout/projections-4/kernel"][-2:] == (2, 12)
    features = shapes(make_model(model={"readout": {"kind": "features"}}))
    assert {path for path in features if path.startswith("readout/")} == {
        "readout/gain", "readout/bias", "readout/out/kernel", "readout/out/bias",
    }  # fmt: skip


@pytest.mark.every_backend
def test_latents_are_upsampled_by_repetition_or_bilinearly(make_model):
    readout = {"width": 8, "middle_width": 4, "blocks": 0}
    x = np.arange(16, dtype=np.float32).reshape(1, 4, 4, 1)
    steps = {}
    for kind in ("nearest", "bilinear"):
        model = make_model(model={"readout": {**readout, "upsampling": kind}})
        y = ops.convert_to_numpy(model.readout._upsample(ops.convert_to_tensor(x), (8, 8)))
        steps[kind] = np.diff(y[0, 4, 1:7, 0])
    np.testing.assert_allclose(steps["nearest"], [1, 0, 1, 0, 1])
    np.testing.assert_allclose(steps["bilinear"], 0.5, atol=1e-6)


@pytest.mark.every_backend
def test_densities_are_float32_in_a_network_of_bfloat16(make_model, forward, images):
    model = make_model(train={"steps": 1, "precision": "mixed_bfloat16"})
    out, _ = forward(model, images)
    assert keras.backend.standardize_dtype(features_dtype(model, images)) == "bfloat16"
    for tensor in (out.kl, out.log_likelihood, out.parameters, out.layers[0].prior.mean):
        assert keras.backend.standardize_dtype(tensor.dtype) == "float32"


def features_dtype(model, images):
    encoder = compiled(model.encoder, model.variables)
    return encoder(ops.cast(ops.convert_to_tensor(images), "float32"))[0].dtype


def test_attention_needs_one_width(make_model):
    module = types.ModuleType("some_attention")
    spec = ComponentSpec(kind="attention", name="some", summary="", builder=dict)
    module.hvae_component = hookimpl(lambda: spec)
    module.hvae_component.__name__ = "hvae_component"
    manager().register(module)
    try:
        with pytest.raises(ValueError, match=r"model\.width must be equal at all scales"):
            make_model(model={"attention": "some", "width": [4, 8, 8]})
    finally:
        manager().unregister("attention", "some")


@pytest.mark.parametrize(
    ("likelihood", "channels"),
    [
        # weight, mean and log scale of each component
        ({"name": "logistic-mixture", "mixtures": 4}, 12),
        ({"name": "logistic-mixture", "mixtures": 1}, 3),
        ("bernoulli", 1),
    ],
)
def test_the_readout_gives_the_likelihood_its_parameters(make_model, likelihood, channels):
    assert shapes(make_model(likelihood=likelihood))["readout/out/kernel"][-1] == channels


def test_the_way_down_pools_before_or_after_the_activation(make_model, images):
    """Projection, activation, pooling is the order of the port and of zea."""
    widths = {"width": [4, 8, 8], "encoder_blocks": 0}
    stem, later, _ = features(make_model(model=widths), images)
    for order in ("pool-first", "project-first"):
        model = make_model(model={**widths, "pool_order": order})
        kernel, bias = (
            ops.convert_to_numpy(v.value) for v in model.encoder.transitions[0].projection.weights
        )
        before = stem @ kernel[0, 0] + bias

        def pool(x):
            return x.reshape(len(x), 4, 2, 4, 2, -1).mean((2, 4))

        def silu(x):
            return x / (1.0 + np.exp(-x))

        expected = silu(pool(before)) if order == "pool-first" else pool(silu(before))
        np.testing.assert_allclose(features(model, images)[1], expected, atol=1e-5)
    assert np.abs(later - expected).max() > 1e-3


def test_the_readout_s_last_convolution_reads_the_blocks_or_their_activation(make_model, images):
    """No source has an activation there; models of format 1 do."""
    readout = {"width": 8, "middle_width": 4, "blocks": 0}
    latents = [ops.ones((2, *shape)) for shape in make_model().latent_shapes]
    for asked, activate in ((False, lambda x: x), (True, keras.activations.silu)):
        model = make_model(model={"readout": {**readout, "last_activation": asked}}).readout
        seen = []
        call = model.out.call
        model.out.call = lambda x, seen=seen, call=call: seen.append(x) or call(x)
        model(latents)
        total = sum(
            ops.repeat(
                ops.repeat(model.projections[str(side)](ops.concatenate(z, -1)), 8 // side, 1),
                8 // side, 2)
            for side, z in ((1, latents[:1]), (4, latents[1:2]), (8, latents[2:]))
        )  # fmt: skip
        h = keras.activations.silu(model.mix(total * len(latents) ** -0.5))
        np.testing.assert_allclose(
            ops.convert_to_numpy(seen[0]), ops.convert_to_numpy(activate(h)), atol=1e-5
        )


@pytest.mark.every_backend
def test_bilinear_upsampling_is_direct_or_in_steps(make_model):
    """From 4 x 4 to 32 x 32 the two are different maps."""
    x = np.random.default_rng(0).normal(size=(1, 4, 4, 1)).astype(np.float32)

    def resized(x, side):
        return ops.image.resize(x, (side, side), "bilinear", data_format="channels_last")

    direct = resized(x, 32)
    steps = resized(resized(resized(x, 8), 16), 32)
    shapes = {
        "resolutions": [32, 16, 8, 4],
        "decoder_blocks": [0, 0, 0, 1],
        "encoder_blocks": 0,
        "latent_width": 1,
    }
    for kind, expected in (("bilinear", direct), ("bilinear-steps", steps)):
        readout = {"width": 1, "middle_width": 1, "blocks": 0, "upsampling": kind}
        model = make_model(False, model={**shapes, "readout": readout}).readout
        model.projections["4"].kernel.assign(np.ones((1, 1, 1, 1), np.float32))
        model.mix.kernel.assign(np.ones((1, 1, 1, 1), np.float32))
        seen = []
        model.activate = lambda x, seen=seen: seen.append(x) or x
        model([ops.convert_to_tensor(x)])
        np.testing.assert_allclose(
            ops.convert_to_numpy(seen[0]), ops.convert_to_numpy(expected), atol=1e-5
        )
    assert np.abs(ops.convert_to_numpy(direct - steps)).max() > 0.05


def test_large_kernels_are_in_stem_and_last_convolution_or_in_blocks_alone(make_model):
    changes = {"resolutions": [128, 64, 2], "encoder_blocks": 0, "decoder_blocks": [0, 0, 1]}
    for large, side in ((False, 3), ("blocks", 3), (True, 5)):
        found = shapes(make_model(False, model={**changes, "large_kernels": large}))
        assert found["encoder/stem/kernel"][:2] == (side, side)
        assert found["readout/out/kernel"][:2] == (side, side)
        assert found["readout/blocks-0/conv2/kernel"][:2] == (5 if large else 3,) * 2
