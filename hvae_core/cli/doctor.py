"""``hvae doctor``: what is installed, what is chosen, what is amiss."""

from __future__ import annotations

import os
import platform
from typing import Any

import click

from hvae_core.cli.common import emit, json_option

PACKAGES = {
    "backends": ("jax", "tensorflow", "torch", "openvino"),
    "extras": (
        "pyarrow",
        "scikit-learn",
        "datasets",
        "fsspec",
        "huggingface_hub",
        "tifffile",
        "imagecodecs",
        "scikit-image",
        "matplotlib",
        "tensorboardX",
        "wandb",
        "mlflow-skinny",
        "sqlalchemy",
        "alembic",
        "gradio",
        "nncf",
        "onnx",
        "onnxscript",
        "onnxruntime",
    ),
}


def report() -> dict[str, Any]:
    """What `hvae doctor` prints; imports no backend."""
    from hvae_core.backends.selection import installed_backends
    from hvae_core.cli.main import COMMANDS
    from hvae_core.errors import HvaeError
    from hvae_core.files.places import cache_folder, offline
    from hvae_core.files.versions import package_version
    from hvae_core.plugins import manager
    from hvae_core.zoo import list_presets, preset_summary

    installed = installed_backends()
    cache = cache_folder()
    nearest = next(folder for folder in (cache, *cache.parents) if folder.exists())
    problems, presets = [], {}
    for name in list_presets():  # first, as it tells which plugins of presets are broken
        try:
            presets[name] = preset_summary(name)["weights"]
        except HvaeError as error:  # a damaged one must not hide the rest
            presets[name] = "damaged"
            problems.append(f"preset {name}: {error}")
    if not installed:
        problems.append("No backend is installed. Install one with: pip install 'hvae[jax]'")
    if installed == ["openvino"]:
        problems.append("Only openvino is installed, which runs models but cannot train them.")
    for entry in manager().entries():
        if entry.status in ("broken", "conflict"):
            problems.append(f"plugin {entry.full_name}: {entry.status}, {entry.reason}")
        elif entry.kind == "command" and entry.name in COMMANDS:
            problems.append(
                f"plugin {entry.full_name} of {entry.distribution}: hvae has a command of this name"
            )
    if not os.access(nearest, os.W_OK):
        problems.append(f"The cache folder {cache} cannot be written to; set HVAE_HOME.")
    return {
        "hvae": package_version("hvae"),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "keras": package_version("keras"),
        "backends": {name: package_version(name) for name in PACKAGES["backends"]},
        "backend": os.environ.get("KERAS_BACKEND") or (installed[0] if installed else None),
        "extras": {name: package_version(name) for name in PACKAGES["extras"]},
        "cache": str(cache),
        "offline": offline(),
        "presets": presets,
        "problems": problems,
    }


@click.command()
@json_option
def command(as_json: bool) -> None:
    """Say what is installed, which backend is chosen, and what is amiss."""
    found = report()
    lines = []
    for key, value in found.items():
        if isinstance(value, dict):
            lines.append(f"{key}:")
            lines += [f"  {name}: {inner or 'not installed'}" for name, inner in value.items()]
        elif isinstance(value, list):
            lines.append(f"{key}: {'none' if not value else ''}".rstrip())
            lines += [f"  {inner}" for inner in value]
        else:
            lines.append(f"{key}: {value}")
    emit(found, as_json, lines)
