import keras
import pytest

from hvae_core.interfaces import ImageValues
from hvae_core.plugins.testing import LikelihoodContract

pytestmark = pytest.mark.every_backend

#: floating-point values far from 0 to 1
HU = ImageValues("float32", -1000.0, 2000.0, "HU")
TWELVE_BITS = ImageValues.of_bits(12)
#: with PyTorch, which compiles nothing, every variant has every shape; elsewhere one of them
ALL_SHAPES = keras.config.backend() == "torch"


class TestLogisticMixture(LikelihoodContract):
    spec = "likelihood.logistic-mixture"
    image_shapes = LikelihoodContract.image_shapes if ALL_SHAPES else ((4, 4, 3),)
    configs = (
        {},
        {"mixtures": 2, "levels": 17},
        {"mixtures": 3, "levels": 4},
        {"mixtures": 2, "levels": 32, "convention": "openai-vdvae"},
    )


class TestLogisticMixtureOfManyChannels(TestLogisticMixture):
    image_shapes = ((2, 2, 2), (2, 2, 5)) if ALL_SHAPES else ((2, 2, 2),)
    configs = (
        {"mixtures": 2, "levels": 5, "gradient_smoothing": True, "log_scale_floor": -4.0},
        {"mixtures": 2, "levels": 5, "coupling": False},
    )


class TestLogisticMixtureOf12Bits(LikelihoodContract):
    spec = "likelihood.logistic-mixture"
    configs = ({"mixtures": 2},)
    values = TWELVE_BITS
    image_shapes = ((2, 2, 1),)


class TestBernoulli(LikelihoodContract):
    spec = "likelihood.bernoulli"
    image_shapes = LikelihoodContract.image_shapes if ALL_SHAPES else ((4, 4, 3),)


class TestBernoulliOfProbabilities(LikelihoodContract):
    spec = "likelihood.bernoulli"
    image_shapes = LikelihoodContract.image_shapes if ALL_SHAPES else ((4, 4, 3),)
    configs = ({"targets": "probabilities"},)


class TestGaussian(LikelihoodContract):
    spec = "likelihood.gaussian"
    configs = ({}, {"scale": "one", "gradient_smoothing": False}, {"scale": "channel"},
               {"scale": "fixed", "fixed_scale": 30.0})  # fmt: skip
    values = HU
    image_shapes = ((2, 2, 1), (2, 2, 2)) if ALL_SHAPES else ((2, 2, 2),)


class TestLaplace(TestGaussian):
    spec = "likelihood.laplace"
    configs = ({},)
    image_shapes = ((2, 2, 1),)


class TestStudentT(TestGaussian):
    spec = "likelihood.student-t"
    configs = ({"degrees_of_freedom": 2.5},)
    image_shapes = ((2, 2, 1),)


class TestDiscretizedGaussian(LikelihoodContract):
    spec = "likelihood.discretized-gaussian"
    configs = ({}, {"scale": "one", "levels": 5})
    image_shapes = ((2, 2, 1), (2, 2, 2)) if ALL_SHAPES else ((2, 2, 2),)


class TestDiscretizedGaussianOf12Bits(LikelihoodContract):
    spec = "likelihood.discretized-gaussian"
    configs = ({},)
    values = TWELVE_BITS
    image_shapes = ((2, 2, 1),)


class TestNoiseModel(TestGaussian):
    spec = "likelihood.noise-model"
    configs = ({}, {"gain": 3.0, "offset": 400.0, "black_level": -900.0})


class TestNoiseModelOfBytes(LikelihoodContract):
    spec = "likelihood.noise-model"
    configs = ({"gain": 0.5},)
    image_shapes = ((2, 2, 1),)
