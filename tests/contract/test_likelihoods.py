import pytest

from hvae_core.plugins.testing import LikelihoodContract

pytestmark = pytest.mark.every_backend


class TestLogisticMixture(LikelihoodContract):
    spec = "likelihood.logistic-mixture"
    configs = (
        {},
        {"mixtures": 2, "levels": 17},
        {"mixtures": 3, "levels": 4},
        {"mixtures": 2, "levels": 32, "convention": "openai-vdvae"},
    )


class TestBernoulli(LikelihoodContract):
    spec = "likelihood.bernoulli"


class TestBernoulliOfProbabilities(LikelihoodContract):
    spec = "likelihood.bernoulli"
    configs = ({"targets": "probabilities"},)
