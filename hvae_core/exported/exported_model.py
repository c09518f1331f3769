"""Running an exported model: NumPy, and the runtime of its format. No Keras.

The same seeds give the same images and figures as the model it was made from, up to the rounding
of its arithmetic and of its weights' precision.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hvae_core.errors import BadInputError, PluginError
from hvae_core.evaluation.verbs import Verbs
from hvae_core.exported.manifest import check_graph, read_manifest
from hvae_core.inference.engine import Arrays, with_images_as_tensors
from hvae_core.inference.programs import LAYERED, Complete, Generate, Infer, InferenceProgram
from hvae_core.interfaces import (
    UINT8,
    ConditionValues,
    Exporter,
    ImageValues,
    Mode,
    Runtime,
    Shape3,
)
from hvae_core.plugins import manager

if TYPE_CHECKING:
    from hvae_core.config import Config


@dataclasses.dataclass(frozen=True)
class LikelihoodFacts:
    """What is known of the likelihood of an exported model."""

    name: str
    unit: str
    channels: int

    def noise_channels(self) -> int:
        """Uniform(0, 1) numbers for each pixel."""
        return self.channels


class ExportedModel(Verbs):
    """An export folder, opened: samples, encodes, decodes and measures like a model.

    Args:
        folder: the folder.
        manifest: what `read_manifest` gives for it.
        mode: ``latency`` or ``throughput``, of the OpenVINO format.
        cache: keep what was compiled in ``HVAE_HOME``, for a faster start the next time.
    """

    def __init__(
        self, folder: Path, manifest: Mapping[str, Any], mode: Mode = "latency", cache: bool = True
    ) -> None:
        if mode not in ("latency", "throughput"):
            raise BadInputError(f"mode is {mode!r}; it must be latency or throughput.")
        self.folder, self.manifest = folder, manifest
        self.image_shape: Shape3 = tuple(manifest["image_shape"])
        values = manifest.get("image_values")  # exports of an older hvae are of uint8
        self.image_values = UINT8 if values is None else ImageValues(**values)
        self.latent_shapes: list[Shape3] = [tuple(s) for s in manifest["latent_shapes"]]
        self.encoder_shape: Shape3 = tuple(manifest.get("encoder_shape") or self.image_shape)
        condition = manifest.get("condition")
        self.condition_values = None if condition is None else ConditionValues.from_dict(condition)
        facts = manifest["likelihood"]
        self.likelihood = LikelihoodFacts(facts["name"], facts["unit"], facts["noise_channels"])
        self._mode: Mode = mode
        self._cache = cache
        self._runtimes: dict[str, Runtime] = {}

    @cached_property
    def config(self) -> Config:
        """The configuration of the model it was made from."""
        from hvae_core.config import parse_config  # pydantic: only who asks pays

        return parse_config(self.manifest["config"])

    def run(self, program: InferenceProgram, inputs: Arrays) -> dict[str, Any]:
        """See `hvae_core.inference.engine.Engine.run`."""
        if isinstance(program, Generate):
            return self._generate(program, inputs)
        if isinstance(program, Complete):
            return self._complete(program, inputs)
        return self._infer(program, inputs)

    @property
    def sees_inputs(self) -> bool:
        """See `Verbs.sees_inputs`: its graph has them where they have further channels."""
        return self.encoder_shape != self.image_shape

    def gives(self, program: InferenceProgram) -> bool:
        """Whether the files have the outputs that the program needs."""
        if isinstance(program, Complete):
            return "completion" in self.manifest["graphs"]
        if isinstance(program, Infer) and (program.prunes or program.from_features):
            return False
        return isinstance(program, Generate) or not self._missing(self._parts(program))

    def run_graph(
        self, graph: str, inputs: Mapping[str, np.ndarray], outputs: Sequence[str]
    ) -> list[np.ndarray]:
        """Outputs of ``generator`` or ``posterior``, see `hvae_core.inference.programs`.

        Args:
            graph: its name.
            inputs: the arrays it needs for these outputs, all of one batch.
            outputs: the names of the outputs wanted; nothing else is computed.
        """
        if graph not in self._runtimes:
            self._runtimes[graph] = self._open(check_graph(self.folder, self.manifest, graph))
        return self._runtimes[graph](inputs, outputs)

    def _open(self, path: Path) -> Runtime:
        runtime = self.manifest["runtime"]
        try:
            spec = manager().get("export", runtime)
            exporter: Exporter = spec.build(spec.config())
        except PluginError as error:
            raise BadInputError(
                f"{self.folder} is for the runtime {runtime!r}, which cannot be had here: "
                f"{error.message}",
                error.hint,
            ) from error
        if type(exporter).open is Exporter.open:
            raise BadInputError(
                f"{self.folder} is for the runtime {runtime!r}, a format that is written, not run.",
                "Export the model again, to a format that can be run.",
            )
        return exporter.open(path, self._mode, self._cache)

    def _generate(self, program: Generate, inputs: Arrays) -> dict[str, Any]:
        layers = len(self.latent_shapes)
        temperature = np.asarray(inputs.get("temperature", 1.0), np.float32)
        named = {
            **_by_layer(inputs["noise"]),
            "given": np.asarray(inputs.get("given", np.zeros(layers)), np.float32),
            "temperature": np.array(np.broadcast_to(temperature, (layers,))),
        }
        if "images" in program.outputs:
            named["pixels"] = inputs["pixels"]
        named |= {name: inputs[name] for name in ("condition", "guidance") if name in inputs}
        graph = "guided" if "guidance" in inputs else "generator"
        if graph not in self.manifest["graphs"]:
            raise self._lacks([graph])
        found = self.run_graph(graph, named, program.outputs)
        return dict(zip(program.outputs, found, strict=True))

    def _complete(self, program: Complete, inputs: Arrays) -> dict[str, Any]:
        layers = range(len(self.latent_shapes))[: program.layers]
        named = {f"features_{scale}": array for scale, array in enumerate(inputs["features"])}
        named |= _by_layer(inputs["noise"])
        named |= {name: inputs[name] for name in ("pixels", "condition") if name in inputs}
        if program.outputs == ("latent",):
            wanted = [f"latent_{layer}" for layer in layers]
            return {"latent": self.run_graph("completion", named, wanted)}
        found = self.run_graph("completion", named, program.outputs)
        return dict(zip(program.outputs, found, strict=True))

    def _infer(self, program: Infer, inputs: Arrays) -> dict[str, Any]:
        if program.prunes:
            raise BadInputError(
                f"{self.folder} is an export, which cannot leave out channels of its latents.",
                "Give encode no kept, or use the model that was exported.",
            )
        parts = self._parts(program)
        if missing := self._missing(parts):
            raise self._lacks(missing)
        inputs = with_images_as_tensors(inputs, self.image_values)
        named = {"images": inputs["images"], **_by_layer(inputs["noise"])}
        named |= {name: inputs[name] for name in ("inputs", "condition") if name in inputs}
        if "reconstruction" in parts:
            named["pixels"] = inputs["pixels"]
        unique = list(dict.fromkeys(part for names in parts.values() for part in names))
        found = dict(zip(unique, self.run_graph("posterior", named, unique), strict=True))
        results: dict[str, Any] = {}
        for name, names in parts.items():
            values = [found[part] for part in names]
            if name in LAYERED or name == "features":
                results[name] = values
            else:
                results[name] = values[0] if len(values) == 1 else values[0] + values[1]
        return results

    def _parts(self, program: Infer) -> dict[str, list[str]]:
        """The graph's outputs of which each of the program's is made."""
        layers = range(len(self.latent_shapes))[: program.layers]
        parts = {name: [f"{name}_{layer}" for layer in layers] for name in LAYERED}
        parts["log_weight"] = ["log_likelihood", "log_ratio"]
        scales = sum(name.startswith("features_") for name in self._outputs)
        parts["features"] = [f"features_{scale}" for scale in range(max(1, scales))]
        return {name: parts.get(name, [name]) for name in program.outputs}

    def _lacks(self, names: Sequence[str]) -> BadInputError:
        return BadInputError(
            f"{self.folder} was exported by an older hvae and lacks {', '.join(names)}.",
            "Export the model again.",
        )

    @property
    def _outputs(self) -> list[str]:
        return self.manifest["graphs"]["posterior"]["outputs"]

    def _missing(self, parts: Mapping[str, list[str]]) -> list[str]:
        """Those of the program's outputs that the graph cannot give."""
        return [name for name, names in parts.items() if not set(names) <= set(self._outputs)]


def _by_layer(noise: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
    return {f"noise_{place}": array for place, array in enumerate(noise)}


def load_exported(
    folder: str | Path,
    mode: Mode = "latency",
    cache: bool = True,
    manifest: Mapping[str, Any] | None = None,
) -> ExportedModel:
    """Open a folder that ``hvae export`` wrote; nothing is compiled until it is asked for.

    Args:
        folder: the folder.
        mode: ``latency``: a batch has all cores; ``throughput``: it is divided among them.
        cache: keep what OpenVINO compiled in ``HVAE_HOME``.
        manifest: by default the one in the folder.

    Raises:
        BadInputError: the folder is no export, or damaged, or ``mode`` is another word.
    """
    found = read_manifest(folder) if manifest is None else manifest
    return ExportedModel(Path(folder), found, mode, cache)
