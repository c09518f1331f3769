"""Each option of the flows does what it says: to the weights, or to the numbers."""

import numpy as np
import pytest
from keras import ops

import hvae_core as hvae
from hvae_plugins.flows.conv_sylvester import steps
from hvae_plugins.flows.conv_sylvester.exponential import convolve

pytestmark = pytest.mark.every_backend

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
        """Of the kernels in use: the first convolution's, each head's, and all heads' as one."""
        flow = make("conv-sylvester", 5.0, channels=4, levels=1, **options)
        network = flow.stack[0].steps[0].network

        def norm(kernel):
            kernel = ops.convert_to_numpy(kernel)
            inputs = kernel.shape[2]
            x = np.eye(16 * inputs, dtype="float32").reshape(-1, 4, 4, inputs)
            rows = convolve(ops.convert_to_tensor(x), ops.convert_to_tensor(kernel))
            return np.linalg.norm(ops.convert_to_numpy(rows).reshape(len(x), -1), 2)

        together = network.heads_kernel()
        each = ops.split(together, 4, axis=-1)
        return norm(network.first.used_kernel()), max(map(norm, each)), norm(together)

    first, head, all_heads = norms()
    assert max(first, head, all_heads) <= 0.9 * (1 + 1e-5)
    first, head, all_heads = norms(network_norm=1.5)
    assert 0.9 < max(first, all_heads) <= 1.5 * (1 + 1e-5)
    first, head, all_heads = norms(network_norm=1.5, bound_heads="each")
    assert head <= 1.5 * (1 + 1e-5)
    assert all_heads > 1.5
    assert max(norms(spectral_norm=False)) > 10.0
