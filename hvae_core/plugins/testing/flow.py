"""The contract of posterior flows.

A third party's test file is three lines::

    class TestMyFlow(FlowContract):
        spec = my_package.my_flow.hvae_component()
        configs = [{}, {"layers": 4}]
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, ClassVar

import keras
import numpy as np
import pytest
from keras import ops

from hvae_core.backends.compiling import Program, value_and_grad
from hvae_core.errors import BadInputError
from hvae_core.interfaces import Flow, Shape3, Tensor
from hvae_core.layers import dtype_policy
from hvae_core.plugins.testing.autodiff import jacobian_of
from hvae_core.plugins.testing.layer import LayerContract
from hvae_core.weights import weight_names


class FlowContract(LayerContract):
    """A flow maps [B, H, W, C] to itself and tells log|det| of its Jacobian, in float32.

    Attributes:
        latent_shapes: the [H, W, C] to try; small, as the Jacobian has (H W C)^2 entries.
        log_det_tolerance: error in nats allowed against autodiff's slogdet.
        inverse_tolerance: error allowed after a way there and back.
        gradient_tolerance: error of the inverse's gradient, relative to the forward's plus 1.
    """

    kind = "flow"
    latent_shapes: ClassVar[Sequence[Shape3]] = ((1, 1, 4), (2, 2, 3))
    log_det_tolerance: ClassVar[float] = 1e-3
    inverse_tolerance: ClassVar[float] = 1e-3
    gradient_tolerance: ClassVar[float] = 1e-3

    def cases(self) -> Sequence[Shape3]:
        """The latent shapes."""
        return self.latent_shapes

    def context_width(self, config: dict[str, Any], case: Shape3) -> int:
        """How many extra posterior channels the flow asks for."""
        ask = self.component.context_channels
        return ask(self.options(config), case) if ask else 0

    def make(self, config: dict[str, Any], case: Shape3) -> Any:
        """A flow, built as the latent layer builds it."""
        width = self.context_width(config, case)
        flow = self.component.build(
            self.options(config), case, width, name="flow", trained_shape=case
        )
        if not flow.built:
            flow.build((None, *case))
        return flow

    def inputs(self, config: dict[str, Any], case: Shape3) -> list[np.ndarray]:
        """A batch of latents, and of contexts where the flow wants one."""
        rng = np.random.default_rng(13)
        width = self.context_width(config, case)
        shapes = [case, *([(*case[:2], width)] if width else [])]
        return [rng.normal(size=(self.rows, *shape)).astype("f") for shape in shapes]

    def apply(self, layer: Any, *inputs: Tensor) -> tuple[Tensor, ...]:
        """The forward direction."""
        return tuple(layer.forward(*inputs))

    def test_it_is_a_flow_that_keeps_the_shape(self, config: dict[str, Any], case: Any) -> None:
        """A `Flow` and a Keras layer; z keeps its shape, log_det is [B]; both float32, finite."""
        trial = self.trial(config, case)
        flow, (z, log_det) = trial.layer, trial.outputs
        assert isinstance(flow, Flow)
        assert isinstance(flow, keras.layers.Layer)
        assert flow.name == "flow", "it must keep the name it is given"
        assert flow.invertible in ("exact", "iterative", None)
        assert z.shape == (self.rows, *case)
        assert log_det.shape == (self.rows,), f"log_det has shape {log_det.shape}, not [B]"
        for array in (z, log_det):
            assert array.dtype == np.float32
            assert np.isfinite(array).all()

    def test_it_has_its_weights_at_any_size(self, config: dict[str, Any], case: Any) -> None:
        """Where it states an alignment: of a latent of thrice the size, those of training."""
        if self.component.alignment is None:
            pytest.skip("it states no alignment")
        alignment = self.component.alignment(self.options(config), case)
        assert case[0] % alignment == case[1] % alignment == 0, "it must divide the latent's sides"
        size = (3 * case[0], 3 * case[1], case[2])
        width = self.context_width(config, case)
        larger = self.component.build(
            self.options(config), size, width, name="flow", trained_shape=case
        )
        if not larger.built:
            larger.build((None, *size))
        shapes = [
            {name: tuple(weight.shape) for name, weight in weight_names(flow).items()}
            for flow in (larger, self.trial(config, case).layer)
        ]
        assert shapes[0] == shapes[1], "its weights are those of a size"

    def test_densities_stay_float32(self, config: dict[str, Any], case: Any) -> None:
        """Under mixed_bfloat16 the context is bfloat16, but z and log_det are float32."""
        with dtype_policy("mixed_bfloat16"):
            flow = self.make(config, case)
        z, *context = (ops.convert_to_tensor(array) for array in self.inputs(config, case))
        given = (ops.cast(c, "bfloat16") for c in context)
        for tensor in self.compute_at_once(flow, z, *given):
            assert keras.backend.standardize_dtype(tensor.dtype) == "float32"

    def test_log_det_is_the_jacobian_s(self, config: dict[str, Any], case: Any) -> None:
        """Against slogdet of autodiff's Jacobian, row by row, with random weights."""
        trial = self.trial(config, case)
        flow, inputs, (_, log_det) = trial.layer, trial.inputs, trial.outputs
        jacobian = jacobian_of(lambda z, *context: flow.forward(z, *context).z, flow.variables)
        for row in range(self.rows):
            sign, expected = np.linalg.slogdet(jacobian(*(a[row : row + 1] for a in inputs)))
            assert sign != 0, "the Jacobian is singular"
            np.testing.assert_allclose(
                log_det[row], expected, atol=self.log_det_tolerance, rtol=self.log_det_tolerance,
                err_msg="log_det is not log|det| of the Jacobian",
            )  # fmt: skip

    def test_the_inverse_undoes_it(self, config: dict[str, Any], case: Any) -> None:
        """Where an inverse is declared: back at the start, with the forward's log_det."""
        trial = self.trial(config, case)
        inputs, (z, log_det) = trial.inputs, trial.outputs
        arguments = [z, *inputs[1:]]
        if trial.layer.invertible is None:
            with pytest.raises(NotImplementedError):
                trial.layer.inverse(*(ops.convert_to_tensor(array) for array in arguments))
            return

        def inverse(flow: Any, *tensors: Tensor) -> tuple[Tensor, ...]:
            return tuple(flow.inverse(*tensors))

        start, its_log_det = trial.run(arguments, inverse)
        for got, wanted, message in (
            (start, inputs[0], "the inverse does not lead back"),
            (its_log_det, log_det, "the inverse's log_det must be the forward's, at the preimage"),
        ):
            bound = self.inverse_tolerance
            np.testing.assert_allclose(got, wanted, atol=bound, rtol=bound, err_msg=message)

    def test_the_inverse_has_its_gradient(self, config: dict[str, Any], case: Any) -> None:
        """Where it is declared: back at the start whatever weights, latent and context are.

        ``f^-1(f(z)) - z`` and its log-determinants' difference are 0 for all of them, so that
        their gradients to all of them are.
        """
        declared = self.component.inverse_gradient
        if declared is None or not declared(self.options(config)):
            pytest.skip("its inverse is not declared to have a gradient")
        trial = self.trial(config, case)
        flow, arrays = trial.layer, trial.inputs
        variables = [
            *flow.trainable_variables,
            *(keras.Variable(array, dtype=array.dtype.name) for array in arrays),
        ]
        given = variables[len(flow.trainable_variables) :]
        rng = np.random.default_rng(7)
        factor = ops.convert_to_tensor(rng.normal(size=arrays[0].shape).astype("f"))

        def loss(round_trip: bool) -> tuple[Tensor, tuple[()]]:
            z, *context = (ops.convert_to_tensor(variable) for variable in given)
            there = flow.forward(z, *context)
            if not round_trip:
                return ops.sum(factor * there.z) + ops.sum(there.log_det), ()
            back = flow.inverse(there.z, *context)
            return ops.sum(factor * (back.z - z)) + ops.sum(back.log_det - there.log_det), ()

        on_jax = keras.config.backend() == "jax"

        def gradients() -> list[list[Tensor]]:
            return [value_and_grad(partial(loss, trip), variables)[2] for trip in (False, True)]

        # One program: it takes the variables' buffers.
        program = Program(gradients, variables, on_jax)
        found = program()
        program.sync()
        for variable, forward, both in zip(variables, *found, strict=True):
            size = np.abs(ops.convert_to_numpy(forward)).max()
            error = np.abs(ops.convert_to_numpy(both)).max()
            bound = self.gradient_tolerance * (1.0 + size)
            assert error < bound, f"the inverse's gradient to {variable.path} is off by {error}"

    def test_it_tells_its_context_and_refuses_another(
        self, config: dict[str, Any], case: Any
    ) -> None:
        """`Flow.context_channels` is what it asked for; without it, or with another, a sentence."""
        flow, width = self.trial(config, case).layer, self.context_width(config, case)
        assert flow.context_channels == width
        z, *context = (ops.convert_to_tensor(array) for array in self.inputs(config, case))
        if not width:
            return
        methods = [flow.forward, *([flow.inverse] if flow.invertible else [])]
        for wrong in (None, context[0][..., :-1], context[0][:, :, 0]):
            for method in methods:
                with pytest.raises(BadInputError, match="needs a context"):
                    method(z, wrong)

    def test_it_uses_all_of_the_context_it_asks_for(
        self, config: dict[str, Any], case: Any
    ) -> None:
        """A whole number of channels; each changes the result. None asked for: none needed."""
        width = self.context_width(config, case)
        assert isinstance(width, int)
        assert width >= 0
        trial = self.trial(config, case)
        inputs, before = trial.inputs, trial.outputs
        if not width:
            assert len(inputs) == 1
            assert before[0].shape == inputs[0].shape
            return
        for channel in range(width):
            changed = np.array(inputs[1])
            changed[..., channel] += 0.5
            after = trial.run([inputs[0], changed])
            moved = max(np.abs(a - b).max() for a, b in zip(after, before, strict=True))
            assert moved > 0, f"channel {channel} of the context changes nothing"
