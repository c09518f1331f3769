"""What compilers are told."""

import keras
import numpy as np
import pytest

from hvae_core.backends.compiling import Program

pytestmark = [
    pytest.mark.every_backend,
    pytest.mark.skipif(keras.config.backend() != "jax", reason="only XLA is told"),
]


@pytest.mark.parametrize(
    ("flags", "told"),
    [("", {"xla_backend_optimization_level": 1}), ("--xla_backend_optimization_level=2", None)],
)
def test_an_update_is_compiled_at_a_lower_level_on_a_cpu(flags, told, monkeypatch):
    import jax

    options = []
    jit = jax.jit

    def spy(function, **given):
        if "compiler_options" in given:
            options.append(given["compiler_options"])
        return jit(function, **given)

    monkeypatch.setenv("XLA_FLAGS", flags)
    monkeypatch.setattr(jax, "jit", spy)
    weight = keras.Variable(np.ones(3, "f"))

    def double(amount):
        weight.assign(weight * amount)
        return weight + 1

    program = Program(double, [weight], compile=True)
    assert np.asarray(program(2.0)).tolist() == [3.0] * 3
    program.sync()
    assert np.asarray(weight.value).tolist() == [2.0] * 3
    assert options == [told if jax.default_backend() == "cpu" else None]
