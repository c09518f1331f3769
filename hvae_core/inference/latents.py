"""The latents of images: what an encoding gives and a decoding takes."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from hvae_core.errors import BadInputError
from hvae_core.inference.kept_channels import most_informative
from hvae_core.inference.latent_checks import (
    checked_kl,
    checked_layers,
    checked_masks,
    checked_names,
    checked_prunable,
    checked_statistics,
    image_count,
)
from hvae_core.inference.latent_files import PRUNABLE, no_latents, read_latents, write_latents
from hvae_core.interfaces import Shape3
from hvae_core.prob.divergence import array_kl
from hvae_core.prob.noise import split_layers, total_size

Part = Literal["z", "posterior_mean", "posterior_log_std", "prior_mean", "prior_log_std"]
STATISTICS = ("posterior_mean", "posterior_log_std", "prior_mean", "prior_log_std")


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Latents:
    """The latents of B images in the first k latent layers of a model, coarsest layer first.

    Each list has a float32 array [B, h, w, c] for each layer, which may be changed in place. A
    layer of ``z`` may also be None: `decode` draws it from the prior. What was not encoded but put
    together has ``z`` alone.

    Args:
        z: the latents: draws from the posterior, or what its mean becomes. In a layer with a flow
            they are the flow's output.
        posterior_mean: of the Gaussian q(z|x, the layers above); in a layer with a flow, of z_0,
            the flow's input.
        posterior_log_std: log standard deviations of that Gaussian.
        prior_mean: of the Gaussian p(z|the layers above), in the space of ``z``.
        prior_log_std: log standard deviations of that Gaussian.
        kl_per_layer: [B, k] in nats, as `elbo` gives them.
        kept: [c] for each layer, 1 where a channel of ``z`` is the posterior's and 0 where it was
            drawn from the prior; None: all are the posterior's.
        names: [B], what each image is called, such as its file; None: they have no names.
        prunable: [k], whether single channels of a layer may come from the prior, which is not so
            with a flow or in a top prior; None: it is not known, and taken to be so.

    Raises:
        BadInputError: the arrays are not of this shape, do not fit each other or are of no image.
    """

    z: Sequence[np.ndarray | None]
    posterior_mean: Sequence[np.ndarray] | None = None
    posterior_log_std: Sequence[np.ndarray] | None = None
    prior_mean: Sequence[np.ndarray] | None = None
    prior_log_std: Sequence[np.ndarray] | None = None
    kl_per_layer: np.ndarray | None = None
    kept: Sequence[np.ndarray] | None = None
    names: Sequence[str] | None = None
    prunable: Sequence[bool] | None = None

    def __post_init__(self) -> None:
        z = checked_layers(self.z)
        checked: dict[str, Any] = {"z": z}
        for name in STATISTICS:
            if (layers := getattr(self, name)) is not None:
                checked[name] = checked_statistics(name, layers, z)
        if self.kl_per_layer is not None:
            checked["kl_per_layer"] = checked_kl(self.kl_per_layer, z)
        if self.kept is not None:
            checked["kept"] = checked_masks(self.kept, z)
        if self.names is not None:
            checked["names"] = checked_names(self.names, z)
        if self.prunable is not None:
            checked["prunable"] = checked_prunable(self.prunable, z)
        for name, value in checked.items():
            object.__setattr__(self, name, value)

    def __len__(self) -> int:
        """The number of images."""
        return image_count(self.z)

    def __repr__(self) -> str:
        further = (*STATISTICS, "kl_per_layer", "kept", "names")
        names = [name for name in further if getattr(self, name) is not None]
        return f"Latents(images={len(self)}, layers={len(self.z)}, {', '.join(('z', *names))})"

    def __getitem__(self, images: Any) -> Latents:
        """Those of some images, at least one: a number, slice, list or mask, as in NumPy."""
        rows = np.atleast_1d(np.arange(len(self))[images])
        return self._map(lambda array: array[rows], len(self.z))

    def leading(self, layers: int) -> Latents:
        """Those of the first, coarsest ``layers``."""
        if not 1 <= layers <= len(self.z):
            raise BadInputError(f"layers is {layers}; there are {len(self.z)}.")
        return self._map(lambda array: array, layers)

    def _map(self, change: Any, layers: int) -> Latents:
        def each(values: Any) -> Any:
            if values is None:
                return None
            return [None if value is None else change(value) for value in values[:layers]]

        kl = None if self.kl_per_layer is None else change(self.kl_per_layer)[:, :layers]
        statistics = {name: each(getattr(self, name)) for name in STATISTICS}
        kept = None if self.kept is None else self.kept[:layers]
        names = None if self.names is None else change(np.asarray(self.names, object)).tolist()
        known: dict[str, Any] = {"kl_per_layer": kl, "kept": kept, "names": names}
        prunable = None if self.prunable is None else self.prunable[:layers]
        return Latents(each(self.z), **statistics, **known, prunable=prunable)

    def kl_per_channel(self) -> list[np.ndarray]:
        """The mean KL of each channel, [c] for each layer, in nats a position; over the images.

        Of the two Gaussians; in a layer with a flow that is not the KL of the layer. In a top
        prior's layer each group's prior is the one given what the posterior drew of the groups
        before it.

        Raises:
            BadInputError: posteriors or priors are not there.
        """
        if any(getattr(self, name) is None for name in STATISTICS):
            raise BadInputError(
                "These latents have no posteriors and priors.", "model.encode(x) gives them."
            )
        result = []
        for layer in range(len(self.z)):
            given = (np.asarray(getattr(self, name)[layer], np.float64) for name in STATISTICS)
            kl = array_kl(*given)
            result.append(kl.mean(axis=(0, 1, 2)).astype(np.float32))
        return result

    def most_informative(self, fraction: float) -> list[np.ndarray]:
        """Which channels carry most information about these images: what ``encode`` may keep.

        Layers that are not `prunable` are left whole.

        Args:
            fraction: of the channels of all others, the part that is kept.

        Returns:
            True where a channel is kept, [c] for each layer.

        Raises:
            BadInputError: the fraction is not from 0 to 1, no layer is prunable, or posteriors or
                priors are not there.
        """
        return most_informative(self.kl_per_channel(), fraction, self.prunable)

    def code(self) -> list[np.ndarray]:
        """Mean and deviation of the kept channels' posteriors: [B, h, w, k, 2] for each layer.

        In a layer with a flow they are those of z_0, the flow's input, and what the posterior gave
        the flow beside it is not among them.

        Raises:
            BadInputError: no posteriors are there, or all channels are kept.
        """
        if self.kept is None or self.posterior_mean is None or self.posterior_log_std is None:
            raise BadInputError(
                "These latents are not pruned.", "model.encode(x, kept=...) prunes them."
            )
        return [
            np.stack([mean, np.exp(log_std)], axis=-1)[..., mask > 0, :]
            for mean, log_std, mask in zip(
                self.posterior_mean, self.posterior_log_std, self.kept, strict=True
            )
        ]

    @property
    def shapes(self) -> list[Shape3 | None]:
        """[(h, w, c)] of the layers, None where one is not given."""
        return [None if layer is None else layer.shape[1:] for layer in self.z]

    def flat(self, part: Part = "z") -> np.ndarray:
        """One vector an image, float32 [B, N].

        The layers stand one after the other, coarsest first; within a layer the order is row,
        column, channel.

        Args:
            part: which of the lists.

        Raises:
            BadInputError: it is not there, or lacks a layer.
        """
        if part not in ("z", *STATISTICS):
            raise BadInputError(
                f"part is {part!r}; it must be one of {', '.join(('z', *STATISTICS))}."
            )
        layers = getattr(self, part)
        if layers is None or any(layer is None for layer in layers):
            raise BadInputError(
                f"These latents have no {part}, or not in every layer.",
                "model.encode(x) gives all of them.",
            )
        return np.concatenate([layer.reshape(len(layer), -1) for layer in layers], axis=1)

    @classmethod
    def from_flat(cls, flat: Any, shapes: Sequence[Shape3]) -> Latents:
        """Latents of vectors [B, N], in the order of `flat`.

        Args:
            flat: the vectors; N may also be the size of the first few layers together.
            shapes: [(h, w, c)] of the layers, such as a model's ``latent_shapes``.

        Raises:
            BadInputError: N is no such size.
        """
        vectors = np.asarray(flat, np.float32)
        for layers in range(1, len(shapes) + 1):
            if vectors.ndim == 2 and vectors.shape[1] == total_size(shapes[:layers]):
                return cls([z.copy() for z in split_layers(vectors, shapes[:layers])])
        sizes = np.cumsum([math.prod(shape) for shape in shapes]).tolist()
        raise BadInputError(
            f"flat has shape {list(vectors.shape)}; expected [B, N] with N one of {sizes}."
        )

    def save(self, path: str | Path) -> Path:
        """Write them as ``.safetensors`` or ``.npz``; an older file is replaced when done.

        The arrays are named ``z.0``, ``posterior_mean.0``, ``kept.0`` and so on,
        ``kl_per_layer``, ``prunable`` where a layer is not, and ``names``: strings in ``.npz``, and
        in ``.safetensors`` the bytes of a JSON list.

        Raises:
            BadInputError: another suffix.
            HvaeError: the file cannot be written.
        """
        arrays = {
            f"{name}.{place}": layer
            for name in ("z", *STATISTICS, "kept")
            for place, layer in enumerate(getattr(self, name) or ())
            if layer is not None
        }
        if self.kl_per_layer is not None:
            arrays["kl_per_layer"] = self.kl_per_layer
        if self.prunable is not None and not all(self.prunable):
            arrays[PRUNABLE] = np.asarray(self.prunable, np.float32)
        return write_latents(arrays, len(self.z), self.names, Path(path))

    @classmethod
    def load(cls, path: str | Path) -> Latents:
        """What `save` wrote.

        Raises:
            DataError: the file is missing, damaged, or holds no latents.
        """
        held = read_latents(Path(path), ("z", *STATISTICS, "kept"))
        lists = {
            name: [held.arrays.get(f"{name}.{place}") for place in range(held.layers)]
            for name in ("z", *STATISTICS, "kept")
        }
        statistics = {
            name: None if all(layer is None for layer in lists[name]) else lists[name]
            for name in (*STATISTICS, "kept")
        }
        prunable = held.arrays.get(PRUNABLE)
        try:
            return cls(
                lists["z"],
                **statistics,  # type: ignore[arg-type]
                kl_per_layer=held.arrays.get("kl_per_layer"),
                names=held.names,
                prunable=None if prunable is None else prunable.tolist(),
            )
        except BadInputError as error:
            raise no_latents(path, error) from error


def as_latents(value: Any) -> Latents:
    """`Latents`, or a sequence with an array [B, h, w, c] or None for each layer.

    Raises:
        BadInputError: it is neither.
    """
    if isinstance(value, Latents):
        return value
    if not isinstance(value, list | tuple):
        raise BadInputError(
            f"latents is of type {type(value).__name__}; expected Latents or a list of arrays.",
            "Vectors become Latents with Latents.from_flat(flat, model.latent_shapes).",
        )
    return Latents(value)
