"""Presets: finding, pulling, verifying, writing and publishing them.

A preset is a folder with ``preset.yaml`` (a configuration and what is known of the weights),
``model.safetensors``, a model card ``README.md`` and ``samples.png``. Listing reads YAML alone, and
finding never touches the network: only `pull` does.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hvae_core.zoo.finding import find_preset, list_presets, preset_summary
    from hvae_core.zoo.preset import Preset, read_preset
    from hvae_core.zoo.pruning import Pruned, prune
    from hvae_core.zoo.publishing import Publication, push
    from hvae_core.zoo.pulling import PullResult, pull
    from hvae_core.zoo.verification import VerifyReport, verify
    from hvae_core.zoo.writing import save_model, write_preset

_HOMES = {
    "Preset": "preset",
    "Pruned": "pruning",
    "Publication": "publishing",
    "PullResult": "pulling",
    "VerifyReport": "verification",
    "find_preset": "finding",
    "list_presets": "finding",
    "preset_summary": "finding",
    "prune": "pruning",
    "pull": "pulling",
    "push": "publishing",
    "read_preset": "preset",
    "save_model": "writing",
    "verify": "verification",
    "write_preset": "writing",
}

__all__ = [
    "Preset",
    "Pruned",
    "Publication",
    "PullResult",
    "VerifyReport",
    "find_preset",
    "list_presets",
    "preset_summary",
    "prune",
    "pull",
    "push",
    "read_preset",
    "save_model",
    "verify",
    "write_preset",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
