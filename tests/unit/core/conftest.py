import numpy as np
import pytest
from tiny import merged


@pytest.fixture(scope="session")
def forward():
    """A model's pass along seeded noise, in one program: JAX would compile each operation."""
    from keras import ops

    from hvae_core.backends.compiling import compiled
    from hvae_core.prob.noise import Noise, draw_normal

    def run(model, images, seed=0):
        """Its `PassOutput` and the noise."""

        def passed(x, flat):
            noise = Noise.from_flat(flat, model.latent_shapes)
            return model.infer(x, noise), noise.layers

        flat = draw_normal(model.latent_shapes, len(images), seed)
        return compiled(passed, model.variables)(*map(ops.convert_to_tensor, (images, flat)))

    return run


@pytest.fixture(scope="session")
def make_model():
    """Builds a tiny model whose weights are far from their start, so that nothing is zero."""
    from keras import ops

    from hvae_core.vae import HierarchicalVAE

    def make(random_weights=True, **changes):
        model = HierarchicalVAE(merged(changes))
        if random_weights:
            rng = np.random.default_rng(1)
            for variable in model.trainable_variables:
                value = ops.convert_to_numpy(variable.value)
                noise = rng.normal(0.0, 0.15, value.shape).astype("float32")
                variable.assign(value + noise)
        return model

    return make


@pytest.fixture(scope="session")
def images():
    rng = np.random.default_rng(0)
    return np.round(rng.integers(0, 17, (5, 8, 8, 1)) * 255 / 16).astype(np.uint8)
