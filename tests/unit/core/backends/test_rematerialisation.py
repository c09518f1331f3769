"""Memory for time: the same numbers, with less kept for the backward pass."""

import keras
import numpy as np
import pytest
from keras import ops

from hvae_core.backends.compiling import Program, value_and_grad
from hvae_core.backends.rematerialisation import rematerialised
from hvae_core.prob.noise import Noise

pytestmark = pytest.mark.every_backend


def gradients(model, images, noise):
    variables = model.trainable_variables

    def found(images, noise):
        def loss():
            out = model.infer(images, Noise(noise))
            kl = ops.stack([layer.kl for layer in out.layers])
            return ops.mean(out.kl - out.log_likelihood), kl

        return value_and_grad(loss, variables)

    # Eager, JAX would compile each operation.
    program = Program(found, variables, compile=keras.config.backend() == "jax")
    value, kl, gradients = program(
        *keras.tree.map_structure(ops.convert_to_tensor, (images, noise))
    )
    program.sync()
    return [ops.convert_to_numpy(x) for x in (value, kl, *gradients)]


#: of all scales where nothing is compiled, and of one
CASES = [({"attention": "davi"}, [True, False, True]), ({"attention": "davi"}, True), ({}, True)]


@pytest.mark.parametrize(
    ("changes", "remat"), CASES[: None if keras.config.backend() == "torch" else 1]
)
def test_the_bound_and_its_gradient_are_the_same(changes, remat, make_model, images):
    rng = np.random.default_rng(0)
    plain = make_model(model=changes)
    noise = [rng.normal(size=(len(images), *s)).astype("f") for s in plain.latent_shapes]
    expected = gradients(plain, images, noise)
    again = gradients(make_model(model=changes, train={"remat": remat}), images, noise)
    for got, wanted in zip(again, expected, strict=True):
        np.testing.assert_allclose(got, wanted, atol=2e-5 * max(1, np.abs(wanted).max()))


class Scaled(keras.layers.Layer):
    """Takes and gives what may be missing, as a latent layer without a condition does."""

    def build(self, input_shape):
        self.scale = self.add_weight((3,), "ones", name="scale")

    def pair(self, x, missing, factor):
        assert missing is None
        return None, ops.tanh(self.scale * x) * factor


def test_arguments_and_results_may_be_none():
    layer = Scaled()
    layer.build((None, 3))
    x, factor = (ops.convert_to_tensor(np.full((2, 3), n, "float32")) for n in (0.3, 2.0))

    def gradient(function):
        def loss():
            none, found = function(x, None, factor)
            assert none is None
            return ops.sum(found), ()

        return ops.convert_to_numpy(value_and_grad(loss, layer.trainable_variables)[2][0])

    expected = gradient(layer.pair)
    assert np.abs(expected).min() > 0
    np.testing.assert_allclose(gradient(rematerialised(layer.pair)), expected, rtol=1e-6)


@pytest.mark.skipif(keras.config.backend() != "torch", reason="counts what autograd keeps")
def test_fewer_tensors_are_kept(make_model, images):
    import torch

    kept = []
    for remat in (False, [False, True, True], [True, False, False], True):
        model = make_model(train={"remat": remat})
        noise = [np.zeros((len(images), *s), "f") for s in model.latent_shapes]
        sizes = []

        def keep(tensor, sizes=sizes):
            sizes.append(tensor.numel())
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            model.infer(images, Noise(noise))
        kept.append(sum(sizes))
    assert kept[-1] < 0.6 * kept[0]
    assert kept == sorted(kept, reverse=True)
    assert kept[0] - kept[-1] == sum(kept[0] - some for some in kept[1:3])
