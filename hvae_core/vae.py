"""The hierarchical VAE as a user meets it: the network with its verbs, saved and exported."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

from hvae_core.config import Config, Precision
from hvae_core.evaluation.keras_model import KerasModel
from hvae_core.evaluation.verbs import Verbs
from hvae_core.exporting import export_model
from hvae_core.inference.engine import Arrays, LiveEngine
from hvae_core.inference.programs import InferenceProgram
from hvae_core.zoo import save_model


class HierarchicalVAE(Verbs, KerasModel):
    """A hierarchical VAE with L latent layers (Child 2020), built and ready to use.

    ``infer`` and ``generate`` work on tensors inside a compiled function, with their noise as an
    argument; ``elbo``, ``log_likelihood``, ``sample``, ``encode``, ``decode``, ``features``,
    ``reconstruct`` and ``interpolate`` take and give NumPy arrays.

    Args:
        config: the whole configuration; `model`, `likelihood`, `train.precision`, `train.remat` and
            `train.seed` (of the initial weights) are used.
        name: the model's name; not part of the names in weights files.
        precision: of the network, in place of `train.precision`.
    """

    def __init__(
        self, config: Config, name: str = "hvae", precision: Precision | None = None
    ) -> None:
        super().__init__(
            config.model,
            config.likelihood.build(config.model.image_shape),
            precision=precision or config.train.precision,
            remat=config.train.remat,
            seed=config.train.seed,
            name=name,
        )
        self.config = config

    @cached_property
    def _engine(self) -> LiveEngine:
        return LiveEngine(self)

    def run(self, program: InferenceProgram, inputs: Arrays) -> dict[str, Any]:
        """See `hvae_core.inference.engine.Engine.run`."""
        return self._engine.run(program, inputs)

    def save(self, folder: str | Path, **options: Any) -> Path:
        """Write a preset folder: ``preset.yaml``, ``model.safetensors`` and a model card."""
        return save_model(self, Path(folder), **options)

    def export(
        self, folder: str | Path, format: str = "openvino", precision: str = "float32"
    ) -> dict[str, Any]:
        """Write the model for a runtime, see `hvae_core.exporting.export_model`."""
        return export_model(self, folder, format, precision)
