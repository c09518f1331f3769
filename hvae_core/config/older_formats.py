"""Configurations of older formats, in today's terms: what they describe keeps its numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

#: the version that is written, and that a configuration without the key ``format`` has
FORMAT: Final = 3
#: data sets that chose the images they hold out by position
_SPLIT_BY_POSITION = ("image-folder", "arrays", "parquet", "hub")
#: of those, the ones that held out no test images
_NO_TEST_IMAGES = ("parquet", "hub")
#: data sets that took transparent pixels for opaque ones, and the upper 8 of 16 bits
_DECODED = ("image-folder", "parquet", "hub")


def upgraded(values: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of a configuration's plain values in today's format.

    Where a default or the meaning of a value has changed since its format, the older one is
    spelt out, unless the configuration says something itself. What is no configuration is left
    for the validation to tell.

    Args:
        values: the sections, with the key ``format`` where they are of an older one.
    """
    result = dict(values)
    given = result.get("format", FORMAT)
    if given not in tuple(_UPGRADES) or isinstance(given, bool):  # it may be anything, a list too
        return result
    for older in range(int(given), FORMAT):
        _UPGRADES[older](result)
    result["format"] = FORMAT
    return result


def _from_format_1(result: dict[str, Any]) -> None:
    """Say in terms of format 2 what format 1 meant."""
    for section, upgrade in (("model", _upgrade_model), ("train", _upgrade_train)):
        options = result.get(section)
        if options is None or isinstance(options, Mapping):
            result[section] = upgrade(dict(options or {}))
    if "data" in result:
        result["data"] = _upgrade_data(result["data"])


def _from_format_2(result: dict[str, Any]) -> None:
    """Say in terms of format 3 what format 2 meant."""
    model = result.get("model")
    if not isinstance(model, Mapping):
        return
    options = _options_of(model.get("flow"))
    if options is not None and options.get("name") == "conv-sylvester":
        result["model"] = {**model, "flow": {"orient_context": False, **options}}


#: by a format: what turns it, in place, into the next
_UPGRADES = {1: _from_format_1, 2: _from_format_2}


def _options_of(component: Any) -> Mapping[str, Any] | None:
    """A component's name and options, where it may be given by its name alone; None: it is none."""
    if isinstance(component, str):
        return {"name": component}
    return component if isinstance(component, Mapping) else None


def _upgrade_data(data: Any) -> Any:
    """The section ``data`` of format 1."""
    options = _options_of(data)
    if options is None:
        return data
    kept: dict[str, Any] = {}
    if options.get("name") in _SPLIT_BY_POSITION:  # held-out images were so in a sorted list
        kept["split_by"] = "position"
    if options.get("name") in _NO_TEST_IMAGES:
        kept["test_fraction"] = 0.0
    if options.get("name") in _DECODED:
        kept |= {"background": "drop", "reduce_bits": True}
    return {**kept, **options} if kept else data


def _upgrade_model(model: dict[str, Any]) -> dict[str, Any]:
    """The section ``model`` of format 1."""
    readout = model.get("readout")
    if readout is None or isinstance(readout, Mapping):
        readout = dict(readout or {})
        if readout.get("kind", "latents") == "latents":
            readout.setdefault("last_activation", True)
        if readout.get("upsampling") == "bilinear":
            readout["upsampling"] = "bilinear-steps"
        model["readout"] = readout
    if model.get("large_kernels") is True:
        model["large_kernels"] = "blocks"
    block = model.get("block")
    if isinstance(block, Mapping) and block.get("conv") == "depthwise5":
        model["block"] = {**block, "conv": "depthwise5-once"}
    if model.get("conv") == "depthwise5":
        model["conv"] = "depthwise5-once"
    # A coarsest scale without a latent layer had no learned start.
    blocks = model.get("decoder_blocks")
    if isinstance(blocks, list) and blocks and blocks[-1] == 0:
        model["top"] = "zeros"
    return model


def _upgrade_train(train: dict[str, Any]) -> dict[str, Any]:
    """The section ``train`` of format 1."""
    if train.get("kl_balancing_steps"):
        train.setdefault("kl_balancing_scaled", False)
    if train.get("skip_start_step") is None and train.get("skip_start_epoch") is None:
        train["skip_start_step"] = 0
    if train.get("beta_cycles"):
        train.setdefault("beta_cycles_share_warmup", True)
    return train
