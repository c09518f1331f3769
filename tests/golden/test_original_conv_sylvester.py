"""The original convolutional Sylvester flow's numbers (Hoogeboom et al. 2020)."""

import keras
import numpy as np
import pytest
from keras import ops

from hvae_core.layers import convolve
from hvae_core.weights import read_tensors
from hvae_plugins.flows.conv_sylvester.convolutions import AutoregressiveNetwork
from hvae_plugins.flows.conv_sylvester.exponential import exponential
from hvae_plugins.flows.conv_sylvester.steps import (
    ActNorm,
    SylvesterStep,
    couple,
    flip,
    squeeze,
    unsqueeze,
)
from hvae_plugins.flows.householder import reflect_all

pytestmark = pytest.mark.every_backend

TERMS = 20  # the originals'
NETWORK = {
    "first": "nn0", "second": "nn1", "shift1": "t1", "scale1": "s1", "shift2": "t2", "scale2": "s2",
}  # fmt: skip


@pytest.fixture(params=["float32", "float64"])
def precision(request):
    if request.param == "float64" and keras.backend.backend() == "jax":
        pytest.skip("JAX computes in float64 only where the whole process does")
    return request.param


@pytest.fixture
def golden(shared_folder):
    return lambda name: read_tensors(shared_folder / "goldens" / "flows" / f"{name}.safetensors")


def assert_close(got, wanted, precision):
    tolerance = 1e-9 if precision == "float64" else 1e-4
    np.testing.assert_allclose(ops.convert_to_numpy(got), wanted, atol=tolerance)


def step_with(golden, prefix, shape, precision):
    """A step with the original's weights."""
    channels = shape[-1]
    hidden = golden[f"{prefix}nn1.bias"].shape[0]
    network = AutoregressiveNetwork(
        3, channels, hidden, 0, norm=None, dtype=precision, name="network"
    )
    step = SylvesterStep(shape, network, channels, TERMS, precision, "step")
    step.build()
    step.reflections.assign(golden[f"{prefix}householder_v"])
    step.exponent.assign(golden[f"{prefix}convexp_kernel"])
    layers = {layer.name: layer for layer in (network.first, network.second, *network.heads)}
    for ours, theirs in NETWORK.items():
        np.testing.assert_array_equal(layers[ours].mask, golden[f"{prefix}{theirs}.mask"])
        layers[ours].kernel.assign(golden[f"{prefix}{theirs}.kernel"])
        layers[ours].bias.assign(golden[f"{prefix}{theirs}.bias"])
    return step


@pytest.mark.parametrize("prefix", ["wide.", "narrow."])
def test_a_step_is_the_original_s(prefix, precision, golden):
    numbers = golden("generalized_sylvester")
    step = step_with(numbers, prefix, (4, 4, 4), precision)
    x = ops.convert_to_tensor(numbers[f"{prefix}x"], dtype=precision)
    mixed = step._mix(x)
    assert_close(mixed, numbers[f"{prefix}Qx"], precision)
    u = exponential(mixed, step.exponent_kernel(), TERMS)
    assert_close(u, numbers[f"{prefix}Mx"], precision)
    for got, name in zip(step.network(u), ("t1", "s1", "t2", "s2"), strict=True):
        assert_close(got, numbers[f"{prefix}{name}_out"], precision)
    out = step(x)
    assert_close(out.z, numbers[f"{prefix}z_out"], precision)
    assert_close(out.log_det, numbers[f"{prefix}logdet"], precision)
    assert_close(out.log_det, numbers[f"{prefix}logdet_autodiff"], precision)
    back = step.inverse(ops.convert_to_tensor(numbers[f"{prefix}z_out"], dtype=precision))
    assert_close(back.z, numbers[f"{prefix}x"], precision)
    assert_close(back.log_det, numbers[f"{prefix}logdet"], precision)


def test_a_stack_is_the_original_s(precision, golden):
    numbers = golden("generalized_sylvester")
    x = ops.convert_to_tensor(numbers["stack.x"], dtype=precision)
    total = ops.zeros_like(x[:, 0, 0, 0])
    norms = []
    for index, shape in enumerate([(4, 4, 4), (2, 2, 16)]):
        norm = ActNorm(shape, precision, "norm")
        norm.build()
        norm.translation.assign(numbers[f"stack.actnorm{index}.translation"])
        norm.log_scale.assign(numbers[f"stack.actnorm{index}.log_scale"])
        norms.append(norm)
    first = step_with(numbers, "stack.gs0.", (4, 4, 4), precision)
    second = step_with(numbers, "stack.gs1.", (2, 2, 16), precision)
    layers = [norms[0], first, flip, squeeze, norms[1], second, flip]
    for index, layer in enumerate(layers):
        x = layer(x)
        if isinstance(x, tuple):
            x, log_det = x
            total = total + log_det
        assert_close(x, numbers[f"stack.after{index}.z"], precision)
        assert_close(total, numbers[f"stack.after{index}.logdet"], precision)
    assert_close(x, numbers["stack.z_out"], precision)
    assert_close(total, numbers["stack.logdet_autodiff"], precision)


def test_coupling_is_the_original_s(precision, golden):
    numbers = golden("generalized_sylvester")
    x, h = (ops.convert_to_tensor(numbers[f"coupling.{k}"], dtype=precision) for k in "xh")
    out = couple(*ops.split(x, 2, axis=-1), h)
    assert_close(out.z, numbers["coupling.z_out"], precision)
    assert_close(out.log_det, numbers["coupling.logdet"], precision)


@pytest.mark.parametrize("prefix", ["unit.", "big."])
@pytest.mark.parametrize("terms", [4, 9, 12, 20])
def test_the_exponential_is_the_original_s(prefix, terms, precision, golden):
    numbers = golden("convexp")
    x, kernel = (
        ops.convert_to_tensor(numbers[prefix + key], dtype=precision) for key in ("x", "kernel")
    )
    assert_close(exponential(x, kernel, terms), numbers[f"{prefix}y_terms{terms}"], precision)
    inverse = exponential(x, -kernel, terms)
    assert_close(inverse, numbers[f"{prefix}yinv_terms{terms}"], precision)


def test_permutations_are_the_original_s(precision, golden):
    numbers = golden("convexp")

    def given(key):
        return ops.convert_to_tensor(numbers[key], dtype=precision)

    assert_close(flip(given("flip.x")), numbers["flip.y"], precision)
    assert_close(squeeze(given("squeeze.x")), numbers["squeeze.y"], precision)
    assert_close(unsqueeze(given("squeeze.y")), numbers["squeeze.x"], precision)
    mixed = reflect_all(given("conv1x1.x"), given("conv1x1.v"), reversed(range(6)))
    assert_close(mixed, numbers["conv1x1.y"], precision)
    by_matrix = convolve(given("conv1x1.x"), ops.transpose(given("conv1x1.Q"))[None, None])
    assert_close(by_matrix, numbers["conv1x1.y"], precision)
