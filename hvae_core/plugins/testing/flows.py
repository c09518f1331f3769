"""What a flow promises."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from keras import ops

from hvae_core.interfaces import Flow, FlowOutput, Shape3
from hvae_core.plugins.testing import numerics, weighted
from hvae_core.plugins.testing.base import ComponentContract

BATCH = 3


class FlowContract(ComponentContract):
    """Tests of `hvae_core.interfaces.Flow`.

    Attributes:
        latent_shapes: [h, w, c] of the latents to test with; keep h w c under a hundred, the
            Jacobian is computed.
        weight_scales: standard deviations to draw all weights with, beside the initial ones.
        log_det_tolerance: between log_det and the Jacobian's, in nats, for float32.
        inverse_tolerance: between z and the inverse of its image.
    """

    kind = "flow"
    axes = {**ComponentContract.axes, "latent_shape": "latent_shapes", "scale": "weight_scales"}
    latent_shapes: ClassVar[Sequence[Shape3]] = ((1, 1, 4), (4, 4, 2))
    weight_scales: ClassVar[Sequence[float | None]] = (None, 0.05, 0.3, 1.0)
    log_det_tolerance: ClassVar[float] = 1e-4
    inverse_tolerance: ClassVar[float] = 1e-4
    compiled_tolerance: ClassVar[float] = 1e-5

    def build(self, options: Any, latent_shape: Shape3, scale: float | None = 0.3) -> Any:
        """A flow whose weights are drawn with ``scale``, or fresh if None."""
        width = self.context_channels(options, latent_shape)
        flow = self.component.build(options, latent_shape, width, name="flow")
        weighted.built(flow, latent_shape)
        if scale is not None:
            numerics.randomise(flow, scale)
        return flow

    def context_channels(self, options: Any, latent_shape: Shape3) -> int:
        """How many channels the flow asks the posterior for."""
        ask = self.component.context_channels
        return ask(options, latent_shape) if ask else 0

    def inputs(self, options: Any, latent_shape: Shape3) -> list[np.ndarray]:
        """A batch of latents, and the context if the flow asks for one."""
        width = self.context_channels(options, latent_shape)
        z = numerics.normal((BATCH, *latent_shape), seed=1)
        return [z, numerics.normal((BATCH, *latent_shape[:2], width), seed=2)] if width else [z]

    def test_shapes_and_dtypes(self, options: Any, latent_shape: Shape3) -> None:
        """``z`` keeps its shape, ``log_det`` is [B]; both are float32 and finite."""
        flow = self.build(options, latent_shape)
        assert isinstance(flow, Flow)
        inputs = self.inputs(options, latent_shape)
        out = flow.forward(*map(ops.convert_to_tensor, inputs))
        assert isinstance(out, FlowOutput)
        z, log_det = numerics.to_numpy(out.z), numerics.to_numpy(out.log_det)
        assert z.shape == (BATCH, *latent_shape)
        assert log_det.shape == (BATCH,)
        assert z.dtype == log_det.dtype == np.float32
        assert np.isfinite(z).all()
        assert np.isfinite(log_det).all()

    def test_the_context_width_is_a_number_of_channels(
        self, options: Any, latent_shape: Shape3
    ) -> None:
        """The posterior is built from it."""
        width = self.context_channels(options, latent_shape)
        assert isinstance(width, int)
        assert width >= 0

    def test_log_det_is_that_of_the_jacobian(
        self, options: Any, latent_shape: Shape3, scale: float | None
    ) -> None:
        """Against the log-determinant of the automatic Jacobian, row by row."""
        flow = self.build(options, latent_shape, scale)
        inputs = self.inputs(options, latent_shape)
        z, *context = inputs
        stated = numerics.to_numpy(flow.forward(*map(ops.convert_to_tensor, inputs)).log_det)
        for row in range(2):
            rest = [ops.convert_to_tensor(x[row : row + 1]) for x in context]

            def flat(vector: Any, rest: list[Any] = rest) -> Any:
                image = flow.forward(ops.reshape(vector, (1, *latent_shape)), *rest).z
                return ops.reshape(image, (-1,))

            matrix = numerics.jacobian(flat, z[row].reshape(-1)).astype(np.float64)
            sign, log_det = np.linalg.slogdet(matrix)
            assert sign != 0, "the Jacobian is singular"
            np.testing.assert_allclose(
                stated[row],
                log_det,
                rtol=1e-5,
                atol=self.log_det_tolerance,
                err_msg=f"log_det is not the Jacobian's, with weights of scale {scale}",
            )

    def test_the_inverse_undoes_it(
        self, options: Any, latent_shape: Shape3, scale: float | None
    ) -> None:
        """Both ways; the inverse's log_det is the forward's at the preimage."""
        flow = self.build(options, latent_shape, scale)
        z, *context = map(ops.convert_to_tensor, self.inputs(options, latent_shape))
        if flow.invertible is None:
            with pytest.raises(NotImplementedError):
                flow.inverse(z, *context)
            return
        assert flow.invertible in ("exact", "iterative")
        tolerance = {"rtol": self.inverse_tolerance, "atol": self.inverse_tolerance}
        forward = flow.forward(z, *context)
        back = flow.inverse(forward.z, *context)
        as_numpy = numerics.to_numpy
        np.testing.assert_allclose(as_numpy(back.z), as_numpy(z), **tolerance)
        np.testing.assert_allclose(as_numpy(back.log_det), as_numpy(forward.log_det), **tolerance)
        again = flow.forward(flow.inverse(z, *context).z, *context)
        np.testing.assert_allclose(as_numpy(again.z), as_numpy(z), **tolerance)

    def test_a_gradient_reaches_every_weight(self, options: Any, latent_shape: Shape3) -> None:
        """And the latent, and the context."""
        flow = self.build(options, latent_shape)
        weighted.check_gradients(flow, self.inputs(options, latent_shape))

    def test_rows_are_independent(self, options: Any, latent_shape: Shape3) -> None:
        """A batch of any size, no row of which touches another."""
        flow = self.build(options, latent_shape)
        weighted.check_rows(flow, self.inputs(options, latent_shape), self.compiled_tolerance)

    def test_a_call_changes_nothing(self, options: Any, latent_shape: Shape3) -> None:
        """Neither inputs nor weights; the second call equals the first."""
        flow = self.build(options, latent_shape)
        weighted.check_purity(flow, self.inputs(options, latent_shape))

    def test_compiled_equals_eager(self, options: Any, latent_shape: Shape3) -> None:
        """On JAX and TensorFlow; with an unknown batch size on the latter."""
        flow = self.build(options, latent_shape)
        weighted.check_compiled(flow, self.inputs(options, latent_shape), self.compiled_tolerance)

    def test_weights_have_the_same_names_when_built_twice(
        self, options: Any, latent_shape: Shape3
    ) -> None:
        """Automatic names count upwards within a process and would not fit a file."""
        weighted.check_same_names(
            self.build(options, latent_shape), self.build(options, latent_shape)
        )

    def test_weights_go_through_a_file(
        self, options: Any, latent_shape: Shape3, tmp_path: Path
    ) -> None:
        """Saved, and read by another flow of the same options."""
        source = self.build(options, latent_shape, 0.3)
        target = self.build(options, latent_shape, None)
        inputs = self.inputs(options, latent_shape)
        weighted.check_round_trip(source, target, tmp_path, inputs)
