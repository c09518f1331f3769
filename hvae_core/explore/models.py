"""The models the page can show, loaded when they are asked for."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

from hvae_core.errors import HvaeError
from hvae_core.zoo import find_preset, list_presets

if TYPE_CHECKING:
    from hvae_core.vae import HierarchicalVAE

#: more are not kept in memory at once
KEPT = 2


class Models:
    """The presets with weights on this machine, and what else the user named.

    Args:
        first: a preset, folder or run to begin with; it is loaded at once.

    Raises:
        HvaeError: it cannot be loaded, or there is nothing to show.
    """

    def __init__(self, first: str | None = None) -> None:
        self._loaded: OrderedDict[str, HierarchicalVAE] = OrderedDict()
        self.names = [first] if first else []
        self.names += [name for name in presets_with_weights() if name != first]
        if not self.names:
            raise HvaeError(
                "There is no preset with weights on this machine.",
                "Pull one (hvae zoo list names them), or name a run: hvae explore RUN",
            )
        self.load(self.names[0])

    def load(self, name: str) -> HierarchicalVAE:
        """A model by its name; the one used longest ago gives way.

        Raises:
            HvaeError: it is none of `names`, or cannot be loaded.
        """
        from hvae_core.api import load

        if name not in self.names:
            raise HvaeError(f"{name!r} is none of the models of this page.")
        if name not in self._loaded:
            while len(self._loaded) >= KEPT:
                self._loaded.popitem(last=False)
            self._loaded[name] = load(name)
        self._loaded.move_to_end(name)
        return self._loaded[name]


def presets_with_weights() -> list[str]:
    """The names of the presets that can be loaded here."""
    names = []
    for name in list_presets():
        try:
            if find_preset(name).weights_path is not None:
                names.append(name)
        except HvaeError:
            continue  # `hvae zoo list` says what is damaged
    return names


def describe(name: str, model: HierarchicalVAE) -> str:
    """A model in one line of Markdown."""
    height, width, channels = model.image_shape
    scales = ["x".join(map(str, stage.size)) for stage in model.config.model.stages]
    summary, measurement = model.config.summary, model.config.measurement
    return (
        f"**{name}**{f': {summary}' if summary else ''}  \n"
        f"{height}x{width} {'grey' if channels == 1 else 'colour'} images, "
        f"{len(model.latent_shapes)} latent layers at {', '.join(reversed(scales))}, "
        f"{model.count_params():,} parameters"
        + (f"; it sees measurements of images: {measurement.name}" if measurement else "")
    )
