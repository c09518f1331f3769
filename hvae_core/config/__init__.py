"""Typed configuration: the models, reading them from YAML with overrides, and validation.

This package is the only user of pydantic and never imports Keras.
"""

from hvae_core.config.component import Component
from hvae_core.config.loading import (
    PRESET_KEYS,
    check_against_shape,
    create_component,
    dump_yaml,
    flatten,
    load_config,
    parse_config,
    read_yaml,
    split_preset,
)
from hvae_core.config.model import ModelConfig, ReadoutConfig
from hvae_core.config.overrides import Overrides, apply_overrides
from hvae_core.config.per_scale import PerScale, at_scale, expand, single
from hvae_core.config.root import Config
from hvae_core.config.schema import config_schema
from hvae_core.config.stages import StageConfig
from hvae_core.config.train import ParameterGroup, Precision, TrainConfig, check_precision

__all__ = [
    "PRESET_KEYS",
    "Component",
    "Config",
    "ModelConfig",
    "Overrides",
    "ParameterGroup",
    "PerScale",
    "Precision",
    "ReadoutConfig",
    "StageConfig",
    "TrainConfig",
    "apply_overrides",
    "at_scale",
    "check_against_shape",
    "check_precision",
    "config_schema",
    "create_component",
    "dump_yaml",
    "expand",
    "flatten",
    "load_config",
    "parse_config",
    "read_yaml",
    "single",
    "split_preset",
]
