import numpy as np

from hvae_core.plugins.testing import LikelihoodContract


class TestLogisticMixture(LikelihoodContract):
    spec = "likelihood.logistic-mixture"
    configs = ({"mixtures": 3}, {"mixtures": 2, "levels": 5}, {"mixtures": 2, "levels": 17})

    def pixel_values(self, options):
        steps = options.levels - 1
        return [round(255 * level / steps) for level in range(options.levels)]


class TestBernoulli(LikelihoodContract):
    spec = "likelihood.bernoulli"
    configs = ({}, {"targets": "probabilities"})

    def pixel_values(self, options):
        return None if options.targets == "probabilities" else (0, 255)


def test_the_kit_s_levels_are_those_of_the_likelihood():
    from keras import ops

    from hvae_core.plugins import manager

    spec = manager().get("likelihood", "logistic-mixture")
    options = spec.config(levels=17)
    values = np.array(TestLogisticMixture().pixel_values(options))
    likelihood = spec.build(options, (1, 1, 1))
    places = ops.convert_to_numpy(likelihood.quantise(ops.convert_to_tensor(values)))
    np.testing.assert_allclose(places, np.linspace(-1, 1, 17), atol=1e-6)
