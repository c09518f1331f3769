"""What runs a model's programs: the network itself, compiled, or an export in its own runtime.

A verb (sample, reconstruct, ...) is written once, against `Engine.run`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from hvae_core.inference.programs import InferenceProgram
from hvae_core.interfaces import ConditionValues, ImageValues, Shape3
from hvae_core.prob.noise import draw

if TYPE_CHECKING:
    from hvae_core.model.network import HierarchicalNetwork

#: arrays, and lists of arrays with one a latent layer, by name
Arrays = Mapping[str, Any]


class PixelModel(Protocol):
    """What a verb asks of the likelihood."""

    @property
    def unit(self) -> str:
        """``bits/dim`` or ``nats``."""

    def noise_channels(self) -> int:
        """Uniform(0, 1) numbers wanted for each pixel."""


class Engine(Protocol):
    """Runs programs of a model on arrays."""

    #: [H, W, C] of an image
    image_shape: Shape3
    #: what the numbers of an image are
    image_values: ImageValues
    #: [(h, w, c)] of the latent layers, coarsest first
    latent_shapes: list[Shape3]
    likelihood: PixelModel
    #: [H, W, C'] of what the encoder sees; the image's, unless it has further channels
    encoder_shape: Shape3
    #: what the condition's values are; None: the model has none
    condition_values: ConditionValues | None

    @property
    def is_eager(self) -> bool:
        """Whether operations run one by one, so that no program rounds a value in its own way."""

    def run(self, program: InferenceProgram, inputs: Arrays) -> dict[str, Any]:
        """The program's outputs by name: NumPy arrays, or lists of them with one a latent layer.

        Args:
            program: what to compute; see `hvae_core.inference.programs` for its inputs.
            inputs: arrays of one batch.
        """

    def gives(self, program: InferenceProgram) -> bool:
        """Whether it can run the program: an export of an older hvae may lack outputs."""

    def draw(
        self, stream: int, shapes: Sequence[Shape3], indices: Sequence[int] | np.ndarray, seed: int
    ) -> list[Any]:
        """Numbers that images own, as `run` takes them: see `hvae_core.prob.noise.draw`."""


class LiveEngine:
    """A network whose programs are compiled when they are first asked for.

    Args:
        network: the network; new weights of it need no new program.

    Attributes:
        before_compiling: called with a program before it is compiled, or None. PyTorch compiles
            none.
    """

    before_compiling: Callable[[InferenceProgram], None] | None = None

    def __init__(self, network: HierarchicalNetwork) -> None:
        self._network = network
        self.image_shape: Shape3 = network.image_shape
        self.image_values: ImageValues = network.image_values
        self.latent_shapes: list[Shape3] = network.latent_shapes
        self.likelihood: PixelModel = network.likelihood
        self.encoder_shape: Shape3 = network.encoder_shape
        self.condition_values: ConditionValues | None = network.condition_values
        self._compiled: dict[InferenceProgram, Callable[[Arrays], dict[str, Any]]] = {}
        self._shapes: set[tuple[Any, ...]] = set()  # for which a program is compiled

    @property
    def is_eager(self) -> bool:
        """See `Engine.is_eager`."""
        from hvae_core.backends.compiling import compiles_programs

        return not compiles_programs()

    def run(self, program: InferenceProgram, inputs: Arrays) -> dict[str, Any]:
        """See `Engine.run`."""
        from hvae_core.backends.compiling import compiled

        shapes = (program, *(_shapes(inputs[name]) for name in sorted(inputs)))
        if shapes not in self._shapes:
            self._shapes.add(shapes)
            if self.before_compiling is not None and not self.is_eager:
                self.before_compiling(program)
        if program not in self._compiled:
            network = self._network

            def function(inputs: Arrays) -> dict[str, Any]:
                return program.compute(network, inputs)

            self._compiled[program] = compiled(function, network.variables)
        outputs = self._compiled[program](with_images_as_tensors(inputs, self.image_values))
        return {name: _to_numpy(value) for name, value in outputs.items()}

    def gives(self, program: InferenceProgram) -> bool:
        """See `Engine.gives`: all programs."""
        return True

    def draw(
        self, stream: int, shapes: Sequence[Shape3], indices: Sequence[int] | np.ndarray, seed: int
    ) -> list[Any]:
        """See `Engine.draw`: on the device, where that is no processor."""
        from hvae_core.backends.device_noise import draw_on_device, draws_on_device

        return (draw_on_device if draws_on_device() else draw)(stream, shapes, indices, seed)


def with_images_as_tensors(inputs: Arrays, values: ImageValues) -> dict[str, Any]:
    """The inputs of a program, ``images`` in the type that graphs take."""
    changes = {"images": values.to_tensor_dtype(inputs["images"])} if "images" in inputs else {}
    return {**inputs, **changes}


def _shapes(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return tuple(_shapes(item) for item in value)
    return np.shape(value)


def _to_numpy(value: Any) -> Any:
    from keras import ops

    if isinstance(value, list | tuple):
        return [_to_numpy(item) for item in value]
    return np.asarray(ops.convert_to_numpy(value))
