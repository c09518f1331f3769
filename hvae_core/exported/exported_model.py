"""Running an exported model: NumPy, and openvino or onnxruntime. No Keras.

The same seeds give the same images and figures as the model it was made from, up to the rounding
of its arithmetic and of its weights' precision.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np

from hvae_core.errors import BadInputError, MissingDependencyError, did_you_mean
from hvae_core.exported.folder import read_manifest
from hvae_core.interfaces import Shape3

if TYPE_CHECKING:
    from hvae_core.config import Config
    from hvae_core.evaluation.elbo import Elbo

#: latency: one batch at a time on all cores; throughput: a batch is divided among the cores
Mode = Literal["latency", "throughput"]


class Runtime(Protocol):
    """A graph's file in the runtime that reads it."""

    def __call__(
        self, inputs: Mapping[str, np.ndarray], outputs: Sequence[str]
    ) -> list[np.ndarray]:
        """The outputs of these names."""


@dataclasses.dataclass(frozen=True)
class LikelihoodFacts:
    """What is known of the likelihood of an exported model."""

    name: str
    unit: str
    channels: int

    def noise_channels(self) -> int:
        """Uniform(0, 1) numbers for each pixel."""
        return self.channels


class ExportedModel:
    """An export folder, opened: samples, reconstructs, interpolates and measures like a model.

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
        self.latent_shapes: list[Shape3] = [tuple(s) for s in manifest["latent_shapes"]]
        facts = manifest["likelihood"]
        self.likelihood = LikelihoodFacts(facts["name"], facts["unit"], facts["noise_channels"])
        self._mode: Mode = mode
        self._cache = cache
        self._runtimes: dict[str, Runtime] = {}

    @cached_property
    def config(self) -> Config:
        """The configuration of the model it was made from."""
        from hvae_core.config import parse_config

        return parse_config(self.manifest["config"])

    def check_images(self, shape: Sequence[int]) -> None:
        """Refuse images [..., H, W, C] of another shape, see `check_against_shape`."""
        from hvae_core.config import check_against_shape

        check_against_shape(self.config, shape[-3:])

    def run(
        self, graph: str, inputs: Mapping[str, np.ndarray], outputs: Sequence[str]
    ) -> list[np.ndarray]:
        """Outputs of ``generator`` or ``posterior``, see `hvae_core.inference.programs`.

        Args:
            graph: its name.
            inputs: the arrays it needs for these outputs, all of one batch.
            outputs: the names of the outputs wanted; nothing else is computed.
        """
        if graph not in self._runtimes:
            self._runtimes[graph] = self._open(self.folder / self.manifest["graphs"][graph]["file"])
        return self._runtimes[graph](inputs, outputs)

    def _open(self, path: Path) -> Runtime:
        runtime = self.manifest["runtime"]
        if runtime == "openvino":
            with _needed("openvino", "openvino"):
                from hvae_core.exported.openvino_runtime import GraphFile
            return GraphFile(path, self._mode, self._cache)
        if runtime == "onnx":
            with _needed("onnxruntime", "onnx"):
                from hvae_core.exported.onnx_runtime import OnnxFile
            return OnnxFile(path)
        raise BadInputError(
            f"{self.folder} is for the runtime {runtime!r}, which this hvae does not know.",
            did_you_mean(runtime, ("openvino", "onnx")),
        )

    def _named_noise(self, noise: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
        return {f"noise_{place}": array for place, array in enumerate(noise)}

    def _generate(
        self,
        latents: Sequence[np.ndarray],
        given: int,
        temperature: np.ndarray,
        pixels: np.ndarray | None,
    ) -> np.ndarray:
        """Images drawn, or without ``pixels`` the mean; ``given``: so many latents are as given."""
        layers = len(self.latent_shapes)
        inputs = {
            **self._named_noise(latents),
            "given": (np.arange(layers) < given).astype(np.float32),
            "temperature": np.broadcast_to(temperature, (layers,)).astype(np.float32),
        }
        if pixels is None:
            return self.run("generator", inputs, ["mean"])[0]
        return self.run("generator", {**inputs, "pixels": pixels}, ["images"])[0]

    def exported_function(self, key: Hashable) -> Callable[..., dict[str, Any]]:
        """What `hvae_core.inference.engine.compiled_function` gives for ``key``."""
        if isinstance(key, tuple):
            return lambda *arguments: self._reconstruct(key[1], *arguments)
        functions: dict[Hashable, Callable[..., dict[str, Any]]] = {
            "sample": lambda noise, pixels, temperature: {
                "images": self._generate(noise, 0, temperature, pixels)
            },
            "decode": lambda noise: {"images": self._generate(noise, 0, np.ones(()), None)},
            "elbo": lambda x, noise: self._encode(x, noise, "log_likelihood", "kl_per_layer"),
            "evaluate": lambda x, noise: self._encode(
                x, noise, "log_likelihood", "kl_per_layer", posterior_means="posterior_mean"
            ),
            "log_weights": self._log_weights,
            "standardised": lambda x, noise: self._encode(x, noise, noise="standardised"),
        }
        return functions[key]

    def _encode(
        self, x: np.ndarray, noise_arrays: Sequence[np.ndarray], *single: str, **layered: str
    ) -> dict[str, Any]:
        """Outputs of the posterior pass; ``layered`` ones are lists with an array a layer."""
        inputs = {"images": x, **self._named_noise(noise_arrays)}
        layers = range(len(self.latent_shapes))
        names = [f"{prefix}_{layer}" for prefix in layered.values() for layer in layers]
        arrays = iter(self.run("posterior", inputs, [*single, *names]))
        results: dict[str, Any] = {name: next(arrays) for name in single}
        return {**results, **{name: [next(arrays) for _ in layers] for name in layered}}

    def _log_weights(self, x: np.ndarray, noise: Sequence[np.ndarray]) -> dict[str, Any]:
        parts = self._encode(x, noise, "log_likelihood", "log_ratio")
        return {"log_weights": parts["log_likelihood"] + parts["log_ratio"]}

    def _reconstruct(
        self,
        count: int,
        x: np.ndarray,
        noise: Sequence[np.ndarray],
        pixels: np.ndarray,
        temperature: np.ndarray,
    ) -> dict[str, Any]:
        if count == len(self.latent_shapes):
            inputs = {"images": x, "pixels": pixels, **self._named_noise(noise)}
            return {"images": self.run("posterior", inputs, ["reconstruction"])[0]}
        names = [f"latent_{layer}" for layer in range(count)]
        inputs = {"images": x, **self._named_noise(noise)}
        kept = self.run("posterior", inputs, names) if count else []
        return {"images": self._generate([*kept, *noise[count:]], count, temperature, pixels)}

    def sample(
        self,
        n: int,
        temperature: float | Sequence[float] | None = 1.0,
        seed: int = 0,
        noise: Sequence[np.ndarray] | None = None,
        batch_size: int | None = None,
    ) -> np.ndarray:
        """Images uint8 [n, H, W, C] from the prior, see `hvae_core.inference.sampling.sample`."""
        from hvae_core.inference.sampling import sample

        return sample(self, n, temperature, seed, noise, batch_size)

    def reconstruct(self, x: np.ndarray, latents: int | None = None, **options: Any) -> np.ndarray:
        """Images from the first ``latents`` posteriors, see `hvae_core.inference.reconstruct`."""
        from hvae_core.inference.reconstruction import reconstruct

        return reconstruct(self, x, latents, **options)

    def interpolate(
        self, a: np.ndarray, b: np.ndarray, steps: int = 8, **options: Any
    ) -> np.ndarray:
        """Images between two images, see `hvae_core.inference.interpolate`."""
        from hvae_core.inference.interpolation import interpolate

        return interpolate(self, a, b, steps, **options)

    def elbo(self, x: np.ndarray, **options: Any) -> Elbo:
        """The evidence lower bound of images, see `hvae_core.evaluation.elbo`."""
        from hvae_core.evaluation.elbo import elbo

        return elbo(self, x, **options)

    def log_likelihood(
        self, x: np.ndarray, importance_samples: int = 100, **options: Any
    ) -> np.ndarray:
        """The importance-weighted bound [B] in nats, see `hvae_core.evaluation.log_likelihood`."""
        from hvae_core.evaluation.importance import log_likelihood

        return log_likelihood(self, x, importance_samples, **options)


@contextmanager
def _needed(package: str, extra: str) -> Iterator[None]:
    """Turn a missing package into the sentence that says how to install it."""
    try:
        yield
    except ImportError as error:
        if (error.name or "").startswith(package):
            raise MissingDependencyError.for_extra(package, extra, "This exported model") from error
        raise


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
