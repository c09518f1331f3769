"""Each option of the flows does what it says: to the weights, or to the numbers."""

import numpy as np
import pytest
from keras import ops

import hvae_core as hvae
from hvae_core.errors import ConfigError
from hvae_plugins.flows.conv_sylvester import steps
from hvae_plugins.flows.conv_sylvester.exponential import quick_norm_bound

SHAPE = (4, 4, 4)


def make(name, scale=0.0, **options):
    flow = hvae.create(f"flow.{name}", config=options, latent_shape=SHAPE)
    flow.build((None, *SHAPE))
    rng = np.random.default_rng(0)
    for weight in flow.weights:
        value = ops.convert_to_numpy(weight.value)
        weight.assign(value + scale * rng.normal(size=value.shape).astype("float32"))
    return flow


def shapes(flow):
    return {weight.path.partition("/")[2]: tuple(weight.shape) for weight in flow.weights}


def z_after(flow, context_channels):
    rng = np.random.default_rng(1)
    z, context = (rng.normal(size=(2, 4, 4, c)).astype("float32") for c in (4, context_channels))
    out = flow.forward(ops.convert_to_tensor(z), ops.convert_to_tensor(context))
    return ops.convert_to_numpy(out.z)


@pytest.mark.parametrize("name", ["sylvester", "conv-sylvester"])
def test_a_flow_is_called_as_any_layer(name):
    flow = make(name, 0.1, context_channels=2)
    rng = np.random.default_rng(1)
    z, context = (
        ops.convert_to_tensor(rng.normal(size=(2, 4, 4, c)).astype("float32")) for c in (4, 2)
    )
    for one, other in zip(flow(z, context), flow.forward(z, context), strict=True):
        np.testing.assert_array_equal(ops.convert_to_numpy(one), ops.convert_to_numpy(other))


@pytest.mark.parametrize(
    ("options", "basis", "triangles"),
    [
        # M = 3 vectors of D = 64 numbers a flow, and R1, R2 of M x M
        ({"orthogonal_vectors": 3}, 3 * 64, 3 * 3),
        ({"orthogonal_vectors": 5}, 5 * 64, 5 * 5),
        ({"variant": "householder", "reflections": 2}, 2 * 64, 64 * 64),
        ({"variant": "householder", "reflections": 3}, 3 * 64, 64 * 64),
        ({"variant": "triangular"}, 0, 64 * 64),
    ],
)
def test_sylvester_s_parameters(options, basis, triangles):
    found = shapes(make("sylvester", flows=2, context_channels=3, **options))
    assert found["triangles/kernel"] == (3 * 16, 2 * triangles)
    assert found.get("basis/kernel", (48, 0)) == (3 * 16, 2 * basis)


def test_sylvester_s_diagonals_are_bounded():
    flow = make("sylvester", flows=1, orthogonal_vectors=3, diagonal_bound=0.25)
    flow.diagonal1.bias.assign(np.full(3, 100.0, np.float32))
    r1, *_ = flow._amortised(ops.zeros((1, 4, 4, 2)))[0]
    np.testing.assert_allclose(np.diag(ops.convert_to_numpy(r1)[0]), 0.25, atol=1e-6)


def test_sylvester_s_orthogonalization():
    options = {"flows": 1, "orthogonal_vectors": 3}

    def columns(**more):
        flow = make("sylvester", 0.3, **options, **more)
        return ops.convert_to_numpy(flow._amortised(ops.zeros((1, 4, 4, 2)))[0][3])[0]

    exact, few, many = (
        columns(),
        columns(orthogonalization="bjorck", bjorck_iterations=1),
        columns(orthogonalization="bjorck", bjorck_iterations=40),
    )
    errors = [np.abs(q.T @ q - np.eye(3)).max() for q in (exact, few, many)]
    assert errors[0] < 1e-5
    assert errors[2] < 1e-5 < errors[1]
    assert np.abs(exact - many).max() > 1e-2  # two ways to orthonormal columns


def test_conv_sylvester_s_networks():
    found = shapes(make("conv-sylvester", channels=8, levels=1, context_channels=7))
    assert found["levels-0/steps-0/network/first/kernel"] == (3, 3, 4, 8)
    assert found["levels-0/steps-0/network/context/kernel"][2] == 7
    assert found["levels-0/steps-0/reflections"] == (4, 4)
    few = shapes(make("conv-sylvester", channels=8, levels=1, reflections=2))
    assert few["levels-0/steps-0/reflections"] == (2, 4)
    repeated = {
        path.split("/")[1]
        for path in shapes(make("conv-sylvester", channels=4, levels=1, repeats=3))
        if "steps" in path
    }
    assert repeated == {"steps-0", "steps-1", "steps-2"}


def test_conv_sylvester_s_levels_fold_space_and_split_channels():
    def channels(**options):
        found = shapes(make("conv-sylvester", channels=4, **options))
        return [
            found[f"levels-{level}/norms-0/translation"][0]
            for level in range(3)
            if f"levels-{level}/norms-0/translation" in found
        ]

    assert channels(levels=1) == [4]
    assert channels(levels=2, split_first=True)[0] == 2
    assert len(channels(levels=None)) == 3  # 4x4, 2x2, 1x1


def test_conv_sylvester_s_kernels_are_bounded_or_not():
    options = {"channels": 4, "levels": 1, "context_channels": 2}
    bounded, free = (
        z_after(make("conv-sylvester", 1.0, spectral_norm=flag, **options), 2)
        for flag in (True, False)
    )
    assert np.abs(bounded - free).max() > 1e-2


def test_conv_sylvester_s_series_has_its_terms(monkeypatch):
    seen = []
    monkeypatch.setattr(steps, "exponential", lambda x, kernel, terms: seen.append(terms) or x)
    z_after(make("conv-sylvester", channels=4, levels=1, terms=9), 4)
    assert set(seen) == {9}


def test_conv_sylvester_s_networks_are_bounded_as_asked_for():
    """By 0.9, the four heads as one, or as in the original each by 1.5."""

    def norms(**options):
        """Bounds of kernels in use: the first convolution's, each head's, and all heads' as one."""
        flow = make("conv-sylvester", 5.0, channels=4, levels=1, **options)
        network = flow.stack[0].steps[0].network
        together = network.heads_kernel()
        kernels = (network.first.used_kernel(), *ops.split(together, 4, axis=-1), together)
        first, *heads, together = (
            float(ops.convert_to_numpy(quick_norm_bound(kernel))) for kernel in kernels
        )
        return first, heads, together

    for options, most in (({}, 0.9), ({"network_norm": 1.5}, 1.5)):
        first, heads, together = norms(**options)
        assert (first, together) == pytest.approx((most, most), rel=1e-4)
        assert max(heads) < most
    first, heads, together = norms(network_norm=1.5, bound_heads="each")
    assert heads == pytest.approx([1.5] * 4, rel=1e-4)
    assert together > 1.6
    assert min(norms(spectral_norm=False)[1]) > 10.0


@pytest.mark.parametrize("gated", [False, True])
def test_iaf_s_numbers_depend_on_those_before_alone_and_its_heads_scale_and_shift(gated):
    flow = make("iaf", 0.5, flows=1, hidden=70, gated=gated)
    rng = np.random.default_rng(1)
    z, context = (rng.normal(size=(1, 4, 4, c)).astype("float32") for c in (4, 2))
    changed = z.copy()
    changed.reshape(-1)[10] += 1.0
    one, other = (
        ops.convert_to_numpy(
            flow.forward(ops.convert_to_tensor(x), ops.convert_to_tensor(context)).z
        ).ravel()
        for x in (z, changed)
    )
    moved = np.abs(one - other) > 1e-6
    assert not moved[:10].any()
    assert moved[10:].mean() > 0.8
    shapes_ = shapes(flow)
    assert shapes_["networks-0/first/kernel"] == (64, 70)
    assert shapes_["networks-0/context/kernel"] == (2 * 16, 70)
    # the scale of a number by the equations of the paper
    network = flow.networks[0]
    shift, raw = network(*(ops.convert_to_tensor(a.reshape(1, -1)) for a in (z, context)))
    shift, raw = (ops.convert_to_numpy(a)[0] for a in (shift, raw))
    gate = 1.0 / (1.0 + np.exp(-raw - 1.0))
    x = z.ravel()
    expected = gate * x + (1.0 - gate) * shift
    if not gated:
        expected = x * np.exp(2.0 * np.tanh(raw / 2.0)) + shift
    np.testing.assert_allclose(one, expected, atol=1e-4)


@pytest.mark.parametrize("name", ["planar", "iaf"])
def test_planar_and_iaf_have_as_many_flows_and_start_as_the_identity(name):
    flow = make(name, flows=3)
    if name == "planar":
        assert shapes(flow)["inward/kernel"] == (2 * 16, 3 * 64)
    else:
        assert len(flow.networks) == 3
    rng = np.random.default_rng(1)
    z = rng.normal(size=(2, 4, 4, 4)).astype("float32")
    context = rng.normal(size=(2, 4, 4, 2)).astype("float32")
    out = flow.forward(ops.convert_to_tensor(z), ops.convert_to_tensor(context))
    np.testing.assert_allclose(ops.convert_to_numpy(out.z), z, atol=1e-5)
    np.testing.assert_allclose(ops.convert_to_numpy(out.log_det), 0.0, atol=1e-5)


def test_planar_needs_a_context():
    with pytest.raises(ConfigError, match=r"model\.flow\.context_channels is 0"):
        make("planar", context_channels=0)
