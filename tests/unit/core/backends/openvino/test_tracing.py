import numpy as np
import pytest

pytest.importorskip("openvino")
keras = pytest.importorskip("keras")
pytestmark = [
    pytest.mark.every_backend,
    pytest.mark.skipif(keras.config.backend() != "openvino", reason="runs on openvino"),
]


@pytest.fixture
def layer():
    from hvae_core.config import Config
    from hvae_core.interfaces import BlockShape

    shape = BlockShape(resolution=4, in_width=6, middle_width=6, out_width=6, residual=True)
    block = Config().model.block.build(shape, name="block")
    block.build((None, 4, 4, 6))
    return block


def test_a_block_keeps_few_transposes_and_its_numbers(layer):
    import openvino

    from hvae_core.backends.openvino.running import Program
    from hvae_core.backends.openvino.tracing import trace
    from hvae_core.interfaces import TensorSpec

    def function(x):
        # Two blocks with a concatenation, a slice and a sum between them.
        from keras import ops

        h = ops.concatenate([layer(x), x], axis=-1)[..., 3:9]
        return layer(ops.maximum(h * 0.5, ops.convert_to_tensor(np.full((1, 4, 4, 6), -0.1, "f"))))

    x = np.random.default_rng(0).normal(size=(2, 4, 4, 6)).astype("f")
    model, _ = trace(function, [TensorSpec("x", (None, 4, 4, 6))])
    transposes = [op for op in model.get_ordered_ops() if op.get_type_name() == "Transpose"]
    convolutions = [op for op in model.get_ordered_ops() if op.get_type_name() == "Convolution"]
    assert len(convolutions) == 4
    # One pair a block: its 1x1 convolutions are products of channels-last matrices.
    assert len(transposes) <= 4
    model.reshape([2, 4, 4, 6])
    expected = keras.ops.convert_to_numpy(function(keras.ops.convert_to_tensor(x)))
    np.testing.assert_allclose(Program(model)([x])[0], expected, atol=1e-5)
    assert isinstance(model, openvino.Model)


def test_new_weights_make_a_new_program(layer):
    from hvae_core.backends.compiling import compiled

    x = np.ones((1, 4, 4, 6), "f")
    program = compiled(lambda x: {"out": [layer(x), x]}, layer.variables)
    before = program(x)["out"][0]
    np.testing.assert_array_equal(program(x)["out"][0], before)
    kernel = layer.convolutions[-1].bias
    kernel.assign(kernel + 1.0)
    np.testing.assert_allclose(program(x)["out"][0], before + 1.0, atol=1e-5)
    assert program(np.ones((3, 4, 4, 6), "f"))["out"][1].shape == (3, 4, 4, 6)
