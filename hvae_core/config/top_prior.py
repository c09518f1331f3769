"""A top prior in its configuration: the shape of its variables, and what is read of them."""

from __future__ import annotations

from hvae_core.config.component import Component
from hvae_core.interfaces import Shape3


def prior_shape(prior: Component | None, image_shape: Shape3) -> Shape3 | None:
    """[h, w, c] of a top prior's variables; None without one.

    Raises:
        ValueError: its plugin does not say, or images of this shape cannot have it.
    """
    if prior is None:
        return None
    if prior.spec.latent_shape is None:
        raise ValueError(
            f"the prior {prior.name!r} does not say what shape its variables have; its spec needs "
            "latent_shape"
        )
    try:
        return prior.spec.latent_shape(prior.options, image_shape)
    except ValueError as error:
        raise ValueError(f"model.prior: {error}") from error


def prior_channels(prior: Component | None, image_shape: Shape3) -> int:
    """Channels of what the layers' priors read of a top prior; 0 without one."""
    if prior is None or prior.spec.context_channels is None:
        return 0
    return prior.spec.context_channels(prior.options, image_shape)
