"""A top prior in its configuration: its variables, what is read of them, what it goes with."""

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


def check_combinations(
    prior: Component | None,
    condition: Component | None,
    measurement: Component | None,
    regularizer: Component | None,
) -> None:
    """Refuse what a top prior does not declare, in its spec's ``supports``, to go with.

    Args:
        prior: the top prior; None: there is nothing to refuse.
        condition: that of the layers' priors; None where they are unconditional.
        measurement: what the encoder sees; None: whole images.
        regularizer: it may declare itself that it goes with any top prior.

    Raises:
        ValueError: names the options.
    """
    if prior is None:
        return
    named, supports = f"model.prior {prior.name!r}", prior.spec.supports
    if condition is not None and not {"condition", "embedding"} & set(supports):
        raise ValueError(
            f"{named} does not see model.condition, so that images of any condition would be drawn "
            "from it; set one of the two to none, or model.conditioning.prior to false"
        )
    if measurement is not None and "measurement" not in supports:
        raise ValueError(
            f"{named} takes the pixels that a measurement leaves unknown for a part of the image; "
            "set model.prior or measurement to none"
        )
    if regularizer is None or "regularizer" in supports:
        return
    if regularizer.spec.supports and "prior" not in regularizer.spec.supports:
        raise ValueError(
            f"regularizer {regularizer.name!r} does not support {named}, whose posterior it cannot "
            "change; set one of them to none"
        )
