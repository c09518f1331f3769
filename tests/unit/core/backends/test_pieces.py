"""A program in pieces does what it does in one, and equal pieces are one."""

import keras
import numpy as np
import pytest
from tiny import merged

from hvae_core.backends.compiling import Program, value_and_grad
from hvae_core.backends.many_tensors import split_vector
from hvae_core.backends.pieces import InPieces, piece
from hvae_core.training.step import build_step
from hvae_core.vae import HierarchicalVAE

pytestmark = [
    pytest.mark.every_backend,
    pytest.mark.skipif(keras.config.backend() != "jax", reason="programs of JAX are cut"),
]


def block(weight, x):
    import jax.numpy as jnp

    return x + jnp.tanh(x @ weight)


def other(weight, x):
    import jax.numpy as jnp

    return x + jnp.sin(x @ weight)


def descent(values, x):
    """A step down the gradient of a deep function; what is given back has the values' places."""
    import jax
    import jax.numpy as jnp

    def loss(vector):
        h = x
        weights = split_vector(vector, [9] * 8)
        for number, weight in enumerate(weights):
            function = other if number == 3 else block
            h = piece(function)(weight.reshape(3, 3), h * 1.5)
        return jnp.mean(jnp.square(h))

    value, gradient = jax.value_and_grad(loss)(values[0])
    return value, [values[0] - 1e-4 * gradient, values[1] + 1]


@pytest.fixture
def arrays():
    import jax.numpy as jnp

    rng = np.random.default_rng(0)
    return [
        [jnp.asarray(rng.normal(0, 0.5, 72), "float32"), jnp.zeros(())],
        jnp.asarray(rng.normal(0, 1, (4, 3)), "float32"),
    ]


def test_equal_blocks_are_compiled_once(arrays):
    import jax

    values, x = arrays
    program = InPieces(descent, None)
    plan = program.plan(values, x)
    cuts = [piece.program.jaxpr.eqns for piece in plan.pieces if hasattr(piece.program, "jaxpr")]
    blocks = [eqns for eqns in cuts if eqns[0].params.get("name") == "hvae_block"]
    assert len(blocks) == 16  # there and back
    # one of each kind, and the first way back alone gives no gradient to what was given
    assert len({id(equations) for equations in blocks}) == 5
    expected = jax.jit(descent)(values, x)
    found = program([value.copy() for value in values], x)
    for one, same in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(one, same, rtol=1e-6, atol=1e-7)


def test_numbers_in_a_block_make_it_another(arrays):
    import jax.numpy as jnp

    def function(values, x):
        for factor in (2.0, 2.0, 3.0, jnp.int32(3), True):
            x = piece(lambda x, factor=factor: x * factor)(x)
        return x, values

    values, x = arrays
    plan = InPieces(function, None).plan(values, x)
    assert (len(plan.pieces), len(plan.programs)) == (5, 4)
    plan.compile()
    np.testing.assert_allclose(plan(values, x)[0], x * 36, rtol=1e-6)


def test_arrays_in_a_block_are_its_own(arrays):
    values, x = arrays
    rows = [np.full(3, value, "f") for value in (1, 1, 2)]

    def function(values, x):
        for row in rows:
            x = piece(lambda x, row=row: x + row)(x)
        return x, values

    program = InPieces(function, None)
    np.testing.assert_allclose(program(values, x)[0], x + 4, rtol=1e-6)


def test_a_further_shape_is_a_further_plan(arrays):
    values, x = arrays
    program = InPieces(descent, None)
    first, values = program(values, x)
    _, values = program(values, x[:2])
    assert len(program._plans) == 2
    third, values = program(values, x)
    assert len(program._plans) == 2
    assert float(values[1]) == 3
    assert float(third) < float(first)


def test_results_are_their_own_arrays(arrays):
    """Whatever is given up with the next call: an argument, a constant, one value twice."""
    import jax.numpy as jnp

    constant = jnp.arange(3.0)

    def function(values, x):
        one = piece(lambda v: v + 1)(values[0])
        return x, [one, one, x, constant, 1.0]

    x = arrays[1]
    program = InPieces(function, None)
    values = [jnp.zeros(3), jnp.zeros(3), x.copy(), constant.copy(), jnp.zeros(())]
    for number in range(3):
        given, values = program(values, x)
        assert values[0].tolist() == values[1].tolist() == [number + 1] * 3
        np.testing.assert_array_equal(given, values[2])
        assert constant.tolist() == values[3].tolist() == [0, 1, 2]
    assert np.isfinite(x).all()


def test_a_program_that_is_not_compiled_has_no_pieces():
    weight = keras.Variable(np.ones((3, 3), "f"))

    def function(x):
        loss, _, gradients = value_and_grad(
            lambda: (piece(block)(weight.value, x).sum(), None), [weight]
        )
        return loss, gradients[0]

    program = Program(function, [weight], compile=False)
    assert not isinstance(program._call, InPieces)
    assert np.isfinite(float(program(np.ones((2, 3), "f"))[0]))


def test_updates_of_a_model_are_those_of_one_program(monkeypatch):
    import jax

    config = merged(
        {
            "model": {"encoder_blocks": [3, 1, 0], "decoder_blocks": [4, 1, 1]},
            "train": {"optimizer": "adamax", "ema_decay": 0.9, "remat": True, "accumulate": 2},
        }
    )
    images = np.random.default_rng(0).integers(0, 17, (4, 8, 8, 1)).astype(np.uint8)

    def updates():
        model = HierarchicalVAE(config)
        step = build_step(model, config.train)
        figures = [
            step.read(step(images, step=number, learning_rate=1e-3, beta=1.0))
            for number in range(3)
        ]
        return figures, step.weights(), step._program

    in_pieces, weights, program = updates()
    (plan,) = program._call._plans.values()
    assert len(plan.programs) < len(plan.pieces)
    monkeypatch.setattr(
        "hvae_core.backends.compiling.InPieces",
        lambda function, options: jax.jit(function, donate_argnums=0),
    )
    in_one, expected, _ = updates()
    for found, same in zip(in_pieces, in_one, strict=True):
        for name, value in found.items():
            np.testing.assert_allclose(value, same[name], rtol=2e-5, atol=1e-7, err_msg=name)
    for name, value in weights.items():
        np.testing.assert_allclose(value, expected[name], atol=2e-6, err_msg=name)
