"""What Efficient-VDVAE's networks have that others have not: scales of one size, and options."""

import numpy as np
import pytest
from keras import ops

from hvae_core.config import ModelConfig

pytestmark = pytest.mark.every_backend

LEVELS = {
    "resolutions": [8, 8, 4], "width": [6, 6, 10], "decoder_width": [5, 5, 7], "encoder_blocks": 1,
    "decoder_blocks": [1, 1, 2], "skip_projections": True, "pooling": "convolution",
    "readout": {"kind": "features", "gain": False, "kernel_size": 3}, "stem_kernel_size": 1,
    "encoder_middle_layers": [1, 2, 3], "decoder_middle_layers": 0, "residual_blocks": [1, 2, 0],
    "encoder_kernel_size": [5, 3, 1], "decoder_kernel_size": 3, "latent_heads": True,
}  # fmt: skip


@pytest.fixture(scope="module")
def model(make_model):
    return make_model(model=LEVELS)


@pytest.fixture(scope="module")
def shapes(model):
    return {v.path.partition("/")[2]: tuple(v.shape) for v in model.variables}


def test_scales_of_one_size_are_told_apart_and_nothing_is_between_them(model, shapes):
    assert [stage.label for stage in model.options.stages] == ["8", "8_2", "4"]
    assert model.latent_shapes == [(4, 4, 2)] * 2 + [(8, 8, 2)] * 2
    between = {path.split("/")[1] for path in shapes if "transitions-" in path}
    assert between == {"transitions-4", "transitions-8_2"}  # on the way up, and on the way down
    assert "decoder/transitions-8_2/projection/kernel" in shapes
    # the stream of the same size goes on, without a bias of its own
    biases = {path.split("/")[1]: shapes[path] for path in shapes if "bias-" in path}
    assert biases == {"bias-4": (1, 4, 4, 7), "bias-8_2": (1, 8, 8, 5)}
    assert len({stage.label for stage in ModelConfig(resolutions=[4] * 4).stages}) == 4


def test_features_of_each_scale_are_projected_to_the_width_of_the_way_down(shapes):
    widths = [shapes[f"encoder/skips-{label}/kernel"] for label in ("8", "8_2", "4")]
    assert widths == [(1, 1, 6, 5), (1, 1, 6, 5), (1, 1, 10, 7)]
    assert shapes["decoder/blocks-0/posterior/conv1/kernel"][2] == 14
    assert shapes["decoder/blocks-3/projection/kernel"] == (1, 1, 2, 5)


def test_bottlenecks_have_as_many_convolutions_as_large_as_asked_for(shapes):
    inner = [
        [shapes[p][0] for p in sorted(shapes) if p.startswith(f"encoder/blocks-{block}/conv")
         and p.endswith("kernel")]
        for block in range(3)
    ]  # fmt: skip
    assert inner == [[1, 5, 1], [1, 3, 3, 1], [1, 1, 1, 1, 1]]
    prior = [p for p in shapes if p.startswith("decoder/blocks-0/prior/") and "kernel" in p]
    assert len(prior) == 2
    assert shapes["encoder/stem/kernel"][:2] == (1, 1)
    assert shapes["readout/out/kernel"][:2] == (3, 3)
    assert "readout/gain" not in shapes


def test_residual_blocks_after_a_latent(shapes):
    """None at the coarsest scale, two at the next, one at the finest."""

    def names(block):
        inner = (path.split("/") for path in shapes if path.startswith(f"decoder/blocks-{block}/"))
        return {parts[2] for parts in inner if parts[2].startswith("residual")}

    assert [names(block) for block in range(4)] == [
        set(), set(), {"residual-0", "residual-1"}, {"residual"},
    ]  # fmt: skip


def test_latents_have_heads_of_their_own(shapes):
    assert shapes["decoder/blocks-0/prior/conv2/kernel"][-1] == 14
    assert shapes["decoder/blocks-0/posterior/conv2/kernel"][-1] == 7
    for head in ("prior_head", "posterior_head"):
        assert shapes[f"decoder/blocks-0/{head}/kernel"] == (1, 1, 7, 4)


def test_a_block_s_outer_convolutions_may_be_as_large_as_its_inner_ones(make_model):
    block = {"name": "bottleneck", "pointwise": False}
    found = make_model(model={"block": block}).encoder.blocks[0][0].convolutions
    assert [layer.kernel_size for layer in found] == [(3, 3)] * 4


def test_pooling_is_a_convolution_with_its_kernel_as_its_stride(make_model):
    model = make_model(
        model={"pooling": "convolution", "encoder_blocks": 0, "skip_projections": True}
    )
    transition = model.encoder.transitions[0]
    x = np.random.default_rng(0).normal(size=(2, 8, 8, 8)).astype("f")
    kernel, bias = (ops.convert_to_numpy(v.value) for v in transition.projection.weights)
    assert kernel.shape == (2, 2, 8, 8)
    squares = x.reshape(2, 4, 2, 4, 2, 8)
    linear = np.einsum("bhiwjc,ijcd->bhwd", squares, kernel) + bias
    got = ops.convert_to_numpy(transition(ops.convert_to_tensor(x)))
    np.testing.assert_allclose(got, linear / (1.0 + np.exp(-linear)), atol=1e-5)


def test_a_relative_posterior_that_says_nothing_is_the_prior(make_model, forward, images):
    changes = {"relative_posterior": True, "standard_deviation": "exp"}
    model = make_model(model=changes)
    for group in model.decoder.layers_by_stage:
        for layer in group:
            for weight in layer.posterior.convolutions[-1].weights:
                weight.assign(np.zeros(weight.shape, np.float32))
    out, _ = forward(model, images)
    assert np.abs(ops.convert_to_numpy(out.kl)).max() < 1e-5
    mean = ops.convert_to_numpy(out.layers[0].posterior.mean)
    np.testing.assert_array_equal(mean, ops.convert_to_numpy(out.layers[0].prior.mean))
    assert np.abs(mean).max() > 1e-3


def test_the_network_sees_so_many_levels(make_model, images):
    model = make_model(model={"input_levels": 32})
    seen = [
        ops.convert_to_numpy(model.bottom_up(ops.convert_to_tensor(x))[0])
        for x in (images, images // 8 * 8)
    ]
    np.testing.assert_array_equal(*seen)
    plain = make_model().bottom_up(ops.convert_to_tensor(images))[0]
    assert np.abs(ops.convert_to_numpy(plain) - seen[0]).max() > 1e-3


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"pooling": "convolution", "channel_change": "pad"}, "it needs model.channel_change"),
        ({"resolutions": [8, 8, 4], "attention": "davi"}, "has a size twice"),
        ({"decoder_width": [8, 8, 4], "attention": "davi"}, "model.width must be equal"),
        ({"decoder_width": [8, 4, 8], "channel_change": "pad"}, "shrinks towards the coarser"),
    ],
)
def test_what_does_not_go_together_is_refused(make_model, changes, named):
    with pytest.raises(ValueError, match=named):
        make_model(model=changes)


def test_other_blocks_have_no_middle_layers(make_model):
    from hvae_core.errors import ConfigError

    with pytest.raises(ConfigError, match=r"model\.encoder_middle_layers"):
        make_model(model={"block": "nvae", "encoder_middle_layers": 3})
