"""What a plugin says of a component, without importing Keras.

A plugin module defines the hook ``hvae_component()``, which returns one `ComponentSpec`. The spec
is light: the code that needs Keras is named by ``builder`` as ``"package.module:function"`` and is
imported when a model is built, not when a configuration is read.

What the builders of the kinds take and return is said by the contracts in
`hvae_core.interfaces`. The builder of a ``preset`` takes nothing and returns the folder that holds
the preset folders, a `pathlib.Path`. The builder of a ``command`` is the `click.Command` itself.
"""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from hvae_core.errors import PluginError

if TYPE_CHECKING:
    from hvae_core.interfaces import ConditionValues, ImageValues

#: 2: images of any values: `ComponentSpec.dtypes` and `ComponentSpec.image_values`; conditions
#: and what else the encoder sees: `ComponentSpec.condition_values`, `Dataset.condition`
API_VERSION = 2
#: what is understood
API_VERSIONS = (1, 2)
#: kinds of what builds a part of a model or of its loss
MODEL_KINDS = (
    "block",
    "flow",
    "attention",
    "condition",
    "prior",
    "likelihood",
    "regularizer",
)
KINDS = (
    *MODEL_KINDS,
    "dataset",
    "measurement",
    "optimizer",
    "schedule",
    "tracker",
    "preset",
    "export",
    "import",
    "command",
)


@dataclasses.dataclass(frozen=True)
class NoOptions:
    """The configuration of a component that has no options."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ComponentSpec:
    """A component of one kind: its name, its options and how to build it.

    Args:
        kind: one of `KINDS`.
        name: the name a configuration uses, as in ``block: {name: bottleneck}``.
        summary: one line for listings.
        builder: a callable, or ``"package.module:function"`` resolved on first use. The arguments
            it takes depend on the kind and are documented by the interface in
            `hvae_core.interfaces`; the validated options always come first.
        config: a pydantic model or a dataclass with the component's options. Unknown keys are
            refused for both.
        references: papers, as ``"Author et al. year, arXiv 1234.56789"``.
        licence: the SPDX identifier of the component's licence, where it is not that of the
            distribution it comes from.
        api_version: the version of this contract that the plugin was written for.
        context_channels: for a flow, ``(options, latent_shape) -> int``: how many extra channels
            the posterior must emit for it. For a prior, ``(options, image_shape) -> int``: of what
            the latent layers' priors read.
        latent_shape: for a prior, ``(options, image_shape) -> Shape3``: of its variables. It raises
            ValueError where images of this shape cannot have it.
        enabled: for a flow, ``(options) -> bool``: whether a scale with these options has it.
        alignment: for a flow that is of any size, ``(options, latent_shape) -> int``: what the
            sides of a latent are multiples of, and where in it a tile may start, ``latent_shape``
            being that of the weights' training; a divisor of its sides. The builder of such a flow
            is given that shape as ``trained_shape``. None: every position is like every other.
        inverse_gradient: for a flow, ``(options) -> bool``: whether with these options it has an
            inverse that can be differentiated. None: it has none.
        supports: what it can be combined with. For a regularizer, everything if empty: ``"flow"``,
            any posterior flow; ``"invertible-flow"``, flows that do not depend on the image (no
            context) and those with ``inverse_gradient``; ``"prior"``, any top prior. For a prior,
            none of these if empty: ``"embedding"``, it is a `ConditionalPrior`; ``"condition"``,
            its variables do not depend on what a condition tells; ``"measurement"``, its posterior
            learns to infer them from a part of the image;
            ``"regularizer"``, its posterior learns, so that a term of it can change it.
        dtypes: for a likelihood, the types of values that it scores, uint8, uint16 or float32; for
            a regularizer, those that it works on. None: it was written for version 1 and knows
            uint8 alone.
        image_values: for a data set, ``(options) -> ImageValues``: what its images' numbers are.
            None: uint8.
        condition_values: for a condition, ``(options) -> ConditionValues``: what it is a choice of.
            Its options also have a ``width``, the channels of its embedding.
        state_arrays: for an optimizer, ``(options, settings: OptimizerSettings) -> int``: how many
            arrays of the weights' size it keeps, for estimates of memory. None: 2, as Adam.
        short_option: for a measurement, the option that ``name:value`` sets on a command line.
        elementwise: for an optimizer, whether it updates each number of the weights by itself, and
            makes its state by Keras's ``add_optimizer_variables`` or
            ``add_variable_from_reference``: then weights are joined to a few vectors, which takes
            far fewer operations.
        trials: options that its contract is tried with where none are given: such that it needs no
            account and no file, and fits the contract's small shapes.
    """

    kind: str
    name: str
    summary: str
    builder: str | Callable[..., Any]
    config: type = NoOptions
    references: tuple[str, ...] = ()
    licence: str = ""
    api_version: int = API_VERSION
    context_channels: Callable[[Any, tuple[int, int, int]], int] | None = None
    latent_shape: Callable[[Any, tuple[int, int, int]], tuple[int, int, int]] | None = None
    enabled: Callable[[Any], bool] | None = None
    alignment: Callable[[Any, tuple[int, int, int]], int] | None = None
    inverse_gradient: Callable[[Any], bool] | None = None
    supports: tuple[str, ...] = ()
    dtypes: tuple[str, ...] | None = None
    image_values: Callable[[Any], ImageValues] | None = None
    condition_values: Callable[[Any], ConditionValues] | None = None
    state_arrays: Callable[[Any, Any], int] | None = None
    short_option: str = ""
    elementwise: bool = False
    trials: tuple[Mapping[str, Any], ...] = dataclasses.field(default=({},), hash=False)

    def resolve(self) -> Callable[..., Any]:
        """The builder itself; imports the module that holds it.

        Raises:
            PluginError: the module cannot be imported, or has no such function.
        """
        if callable(self.builder):
            return self.builder
        module, _, attribute = self.builder.partition(":")
        try:
            return getattr(importlib.import_module(module), attribute)
        except (ImportError, AttributeError) as error:
            raise PluginError(
                f"The {self.kind} {self.name!r} cannot be built: its builder {self.builder!r} is "
                f"not to be had ({error}).",
                "Install what it needs, or update or uninstall the package it comes from.",
            ) from error

    def build(self, *args: Any, **kwargs: Any) -> Any:
        """Call the builder. A flow is told what it was built for: `Flow.context_channels`.

        ``trained_shape=`` reaches the builder of a flow that has an ``alignment`` alone, and
        ``embedding_width=`` that of a prior which ``supports`` ``"embedding"``.
        """
        if self.alignment is None:
            kwargs.pop("trained_shape", None)
        if "embedding" not in self.supports:
            kwargs.pop("embedding_width", None)
        built = self.resolve()(*args, **kwargs)
        if self.kind == "flow":
            # The builder's arguments: options, latent_shape, context_channels, name.
            built.context_channels = kwargs.get("context_channels", args[2] if args[2:] else 0)
        if "embedding" in self.supports:
            built.embedding_width = kwargs.get("embedding_width", 0)
        return built
