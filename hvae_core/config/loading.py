"""Reading a configuration: YAML, overrides, and one clear sentence for what is wrong."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, cast

import pydantic

from hvae_core.config.component import Component, component_field
from hvae_core.config.older_formats import upgraded
from hvae_core.config.overrides import Overrides, apply_overrides
from hvae_core.config.root import Config
from hvae_core.config.validation import describe
from hvae_core.errors import ConfigError, did_you_mean
from hvae_core.files import yaml_files
from hvae_core.files.paths import exists, is_file, is_folder
from hvae_core.interfaces.image_shapes import check_image_shape
from hvae_core.plugins import manager
from hvae_core.plugins.specs import KINDS

#: a package's name (https://packaging.python.org/specifications/name-normalization), and a plugin's
_PACKAGE = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,98}[A-Za-z0-9])?")
_PLUGIN = re.compile(r"[a-z]{1,20}\.[A-Za-z0-9][A-Za-z0-9._-]{0,98}")
#: the keys of a preset.yaml beside those of a configuration
PRESET_KEYS = (
    "name",
    "licence",
    "cite",
    "parameters",
    "figures",
    "layers",
    "pictures",
    "trained",
    "notes",
    "plugins",
    "weights",
)


def read_yaml(path: Path) -> dict[str, Any]:
    """A YAML file that holds a mapping.

    Raises:
        ConfigError: the file is missing, not valid, or no mapping; names the file and the line.
    """
    if not exists(path):
        raise ConfigError(f"There is no file {path}.", "Give a YAML file or a preset's name.")
    return yaml_files.read_mapping(path, ConfigError)


def split_preset(mapping: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """A preset.yaml's configuration, and what else it says (figures, weights, licence...)."""
    config = {key: value for key, value in mapping.items() if key not in PRESET_KEYS}
    return config, {key: value for key, value in mapping.items() if key in PRESET_KEYS}


def parse_config(mapping: Mapping[str, Any], overrides: Overrides = (), source: str = "") -> Config:
    """A validated configuration from plain values.

    Args:
        mapping: the sections; a preset's further keys are left out.
        overrides: what wins over ``mapping``, see `apply_overrides`.
        source: the file it comes from, for messages.

    Raises:
        ConfigError: a key is unknown, a list has the wrong length, or a value is impossible.
    """
    # First, so that overrides are read in today's terms.
    config, others = split_preset(apply_overrides(upgraded(mapping), overrides))
    for section in ("model", "train"):
        # A heading with nothing under it.
        if section in config and config[section] is None:
            config[section] = {}
    try:
        return Config.model_validate(config)
    except pydantic.ValidationError as error:
        where = f"{source}: " if source else ""
        message, hint = missing_plugin(others.get("plugins")) or describe(error, config)
        raise ConfigError(where + message, hint) from None


def missing_plugin(recorded: Any) -> tuple[str, str] | None:
    """The message and the hint for the first plugin that a file needs and that is not installed.

    Args:
        recorded: the key ``plugins`` of a preset or a run: ``kind.name`` and the distribution.
    """
    for full_name, distribution in (recorded if isinstance(recorded, dict) else {}).items():
        kind, _, name = str(full_name).partition(".")
        if name not in manager().names(kind):
            package = str(distribution).partition(" ")[0]
            if not _PACKAGE.fullmatch(package) or not _PLUGIN.fullmatch(str(full_name)):
                return (
                    "it needs a plugin that is not installed, and does not name it and its package "
                    "as a package index does.",
                    "Ask its author which package it needs.",
                )
            return (
                f"it needs the plugin {full_name}, which is not installed; by its own account that "
                f"is part of the package {package}.",
                "If you trust that package, install it with: pip install " + package,
            )
    return None


def load_config(
    source: str | Path | Mapping[str, Any] | Config, overrides: Overrides = ()
) -> Config:
    """A configuration from a YAML file, a folder that holds one, plain values, or a `Config`.

    A folder is a preset (``preset.yaml``) or a run (``config.yaml``).

    Raises:
        ConfigError: see `parse_config` and `read_yaml`.
    """
    if isinstance(source, Config):
        return parse_config(source.to_dict(), overrides) if overrides else source
    if isinstance(source, Mapping):
        return parse_config(source, overrides)
    path = Path(source)
    if is_folder(path):
        path = next(iter(_configurations(path)), path / "preset.yaml")
    return parse_config(read_yaml(path), overrides, str(path))


def _configurations(folder: Path) -> Iterator[Path]:
    return (folder / name for name in ("preset.yaml", "config.yaml") if is_file(folder / name))


def dump_yaml(config: Config | Mapping[str, Any]) -> str:
    """A configuration as YAML that reads back to an equal one."""
    if isinstance(config, Config):
        plugins = config.foreign_plugins()
        values = {**config.to_dict(), **({"plugins": plugins} if plugins else {})}
    else:
        values = dict(config)
    return yaml_files.dump_yaml(values)


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """A nested mapping (a configuration, say) with dotted keys, as ``--set`` writes them."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def create_component(kind: str, value: Any) -> Component:
    """A component chosen by name, or by a mapping with its name and options.

    Raises:
        ConfigError: there is no such component, or its options are not valid.
    """
    if kind not in KINDS:
        raise ConfigError(f"There is no kind {kind!r} of component.", did_you_mean(kind, KINDS))
    annotation = Annotated[pydantic.SkipValidation[Component], *component_field(kind, False)]
    root = pydantic.create_model("Chosen", **cast("Any", {kind: (annotation, ...)}))
    try:
        return getattr(root.model_validate({kind: value}), kind)
    except pydantic.ValidationError as error:
        message, hint = describe(error, {kind: value}, root)
        raise ConfigError(message, hint) from None


def check_against_shape(config: Config, shape: Sequence[int]) -> None:
    """Refuse a data set whose images [..., H, W, C] are not the model's.

    Raises:
        ConfigError: names the options that decide the model's shape.
    """
    check_image_shape(
        shape, config.model.image_shape, f"The images of data set {config.data.name!r} have"
    )
