"""Checkpoints of Efficient-VDVAE's PyTorch edition, as a plugin.

`hyperparameters`: its files of them; `networks`: what they describe, in our terms; `state_dict`:
its tensors and ours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import pydantic

from hvae_core.config import Config, parse_config
from hvae_core.errors import ConfigError, WeightsError, did_you_mean
from hvae_core.files.digests import file_digest
from hvae_core.importing import read_state_dict
from hvae_core.importing.tensor_pairs import mismatches
from hvae_core.interfaces import Imported, Importer
from hvae_core.plugins import hookimpl
from hvae_core.plugins.specs import ComponentSpec
from hvae_plugins.importers.efficient_vdvae.hyperparameters import read_hyperparameters
from hvae_plugins.importers.efficient_vdvae.networks import (
    ORIGINAL_MODEL,
    encoder_cells,
    translate,
)
from hvae_plugins.importers.efficient_vdvae.state_dict import (
    from_original,
    tensor_pairs,
)

#: presets with the original's published configurations
PREFIX = "efficient-vdvae-"
#: parts of a model that none of its networks has
ADDED = ("flow", "attention", "condition", "prior", "input_channels")
#: where a checkpoint of `torch.save` has its state dicts
SECTIONS = {"ema": "ema_model_state_dict", "raw": "model_state_dict"}


class EfficientVDVAEConfig(pydantic.BaseModel):
    """Options of the format."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)

    weights: Literal["ema", "raw"] = pydantic.Field(
        "ema", description="which of the checkpoint's: ema, the averaged ones, or raw"
    )


class EfficientVDVAEImporter(Importer):
    """Reads what the original's training writes, or ``.safetensors`` with the same names."""

    presets = f"{PREFIX}*"
    checks_weights = True

    def __init__(self, options: EfficientVDVAEConfig) -> None:
        self.options = options

    def read(self, checkpoint: Path, config: str | None, known: Mapping[str, Config]) -> Imported:
        """See `Importer.read`; ``config`` is the cfg file of the run, or such as ``cifar10``."""
        published = {name.removeprefix(PREFIX): found for name, found in known.items()}
        cells: Sequence[int] | None = None
        chosen: Config | None = None
        # A configuration that there is not is told before gigabytes are read.
        if config is not None and config.removeprefix(PREFIX) in published:
            chosen = published[config.removeprefix(PREFIX)]
        elif config is not None:
            chosen, cells = read_configuration(config, published)
        tensors = read_state_dict(checkpoint, SECTIONS[self.options.weights])
        if chosen is None:
            chosen = recognise(tensors, checkpoint, published)
        notes = (
            f"Imported from {checkpoint.name} (sha256 {file_digest(checkpoint)}), "
            f"{'averaged' if self.options.weights == 'ema' else 'raw'} weights of Efficient-VDVAE."
        )
        return Imported(chosen, from_original(tensors, chosen, cells), notes)

    def describes(self, config: Config) -> bool:
        """See `Importer.describes`: a network with what all of the original's have."""
        model = config.model
        return (
            hasattr(model.block_with_options.options, "pointwise")
            and all(getattr(model, key) == value for key, value in ORIGINAL_MODEL.items())
            and (model.readout.kind, model.readout.gain) == ("features", False)
            and not any(getattr(model, key) for key in ADDED)
        )


def recognise(tensors: Mapping[str, np.ndarray], path: Path, known: Mapping[str, Config]) -> Config:
    """The published configuration that has exactly these tensors.

    Raises:
        WeightsError: there is none.
    """
    for config in known.values():
        if not mismatches(tensors, tensor_pairs(config)):
            return config
    raise WeightsError(
        f"{path} has the tensors of no published configuration ({', '.join(known) or 'none'}).",
        "Give --config FILE, the run's hyper-parameters (hparams-NAME.cfg).",
    )


def read_configuration(name: str, known: Mapping[str, Config]) -> tuple[Config, list[int]]:
    """The configuration of a file of hyper-parameters, and the cells in its blocks on the way up.

    Raises:
        ConfigError: there is no such file, or it describes an impossible network.
    """
    path = Path(name)
    if not path.is_file() and path.suffix not in (".cfg", ".json"):
        raise ConfigError(
            f"The original has no configuration {name!r}.",
            f"{did_you_mean(name, known)} The run's hparams-NAME.cfg will do, too.",
        )
    values = read_hyperparameters(path)
    try:
        return parse_config(translate(values)), encoder_cells(values)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error.message}", error.hint) from error


@hookimpl
def hvae_component() -> ComponentSpec:
    """Describe the format."""
    return ComponentSpec(
        kind="import",
        name="efficient-vdvae",
        summary="Checkpoints of Efficient-VDVAE's PyTorch edition, averaged or raw weights",
        builder=EfficientVDVAEImporter,
        config=EfficientVDVAEConfig,
        references=("Hazami, Mama and Thurairatnam 2022, Efficient-VDVAE, arXiv 2203.13751",),
    )
