import pytest

from hvae_core.plugins.testing import LikelihoodContract

pytestmark = pytest.mark.every_backend


class TestLogisticMixture(LikelihoodContract):
    spec = "likelihood.logistic-mixture"
    configs = ({}, {"mixtures": 2, "levels": 17}, {"mixtures": 3, "levels": 4})

    def support(self, config):
        levels = config.get("levels", 256)
        return [round(255 * k / (levels - 1)) for k in range(levels)]


class TestBernoulli(LikelihoodContract):
    spec = "likelihood.bernoulli"

    def support(self, config):
        return (0, 255)


class TestBernoulliOfProbabilities(TestBernoulli):
    configs = ({"targets": "probabilities"},)
