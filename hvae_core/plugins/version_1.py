"""Components written for version 1 of the plugin interface, which know images of uint8 alone.

Version 2 added images of any values. What says nothing of them is taken to be of version 1: its
builder is called as before, and it is never given anything but uint8.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hvae_core.interfaces import ImageValues, Likelihood, Shape3
    from hvae_core.plugins.specs import ComponentSpec


def known_dtypes(spec: ComponentSpec) -> tuple[str, ...]:
    """The types of values that a likelihood scores, or a regularizer works on."""
    return ("uint8",) if spec.dtypes is None else spec.dtypes


def given_values(spec: ComponentSpec, options: Any) -> ImageValues:
    """What the images of a data set are, by its options."""
    from hvae_core.interfaces import UINT8

    return UINT8 if spec.image_values is None else spec.image_values(options)


def build_likelihood(
    spec: ComponentSpec, options: Any, image_shape: Shape3, values: ImageValues
) -> Likelihood:
    """The likelihood, told the images' values where it knows of such."""
    if spec.dtypes is None:
        likelihood: Likelihood = spec.build(options, image_shape)
        return likelihood
    likelihood = spec.build(options, image_shape, values)
    likelihood.values = values
    return likelihood
