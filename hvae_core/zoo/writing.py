"""Writing a preset folder, whole or not at all."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from hvae_core.config import PRESET_KEYS
from hvae_core.errors import PresetError
from hvae_core.files.digests import file_digest
from hvae_core.files.paths import exists, is_file, is_folder, real_name
from hvae_core.files.replacing import disk_errors, replacing_folder
from hvae_core.files.yaml_files import dump_yaml
from hvae_core.weights.tensors import copy_weights, read_header
from hvae_core.zoo.cards import model_card
from hvae_core.zoo.preset import (
    CARD_FILE,
    FILES,
    PICTURES,
    PRESET_FILE,
    WEIGHTS_FILE,
    Preset,
    check_name,
    read_preset,
)

if TYPE_CHECKING:
    from hvae_core.config import Config


class Savable(Protocol):
    """A built Keras model that knows its configuration."""

    config: Config


#: an existing weights file, or what writes one to the path it is given
WeightsWriter = Path | Callable[[Path], object] | None


def write_preset(
    folder: str | Path,
    config: Config | Mapping[str, Any],
    weights: WeightsWriter = None,
    *,
    figures: Mapping[str, Any] | None = None,
    info: Mapping[str, Any] | None = None,
    pictures: Sequence[Path] = (),
    overwrite: bool = False,
) -> Preset:
    """Write ``preset.yaml``, the weights and a model card to a folder.

    Args:
        folder: the preset's folder; its name is the preset's, unless ``info`` has one.
        config: the configuration.
        weights: a safetensors file to copy, a function that writes one to a path, or None. The
            copy's metadata gets the preset's name; sha256, size and number of parameters are
            recorded.
        figures: results by name: a number, or ``{value, unit, how, command}`` with how it was
            measured, and what measures it again.
        info: further keys of preset.yaml: name, licence, parameters, layers (lists with a number
            for each latent layer: ``kl`` in nats, ``active_units``, ``units``; and ``how``),
            pictures, trained, notes, and weights with only ``sources``.
        pictures: PNGs to copy: ``samples.png``, ``reconstructions.png``, ``training.png``; what
            they show may stand in ``info``'s ``pictures``, by file.
        overwrite: replace a preset in ``folder``. Files there that hvae did not write are kept.

    Returns:
        The preset as it lies in ``folder``.

    Raises:
        PresetError: the folder has content and ``overwrite`` is off, or it is no preset, or
            ``info`` has an unknown key, or a picture another name.
        HvaeError: it cannot be written; ``folder`` is as it was.
    """
    target = Path(folder)
    content = _content(target, config, figures, info)
    _check_pictures(pictures)
    check_target(target, overwrite)
    with disk_errors(f"write the preset {target}"), replacing_folder(target) as work:
        if target.is_dir():
            for path in target.iterdir():
                if path.name in FILES:
                    continue
                if path.is_dir() and not path.is_symlink():
                    shutil.copytree(path, work / path.name, symlinks=True)
                else:
                    shutil.copy2(path, work / path.name, follow_symlinks=False)
        for picture in pictures:
            shutil.copyfile(picture, work / picture.name)
        if weights is not None:
            _add_weights(work / WEIGHTS_FILE, weights, content)
        text = dump_yaml(content, inline="leaves", width=100)
        (work / PRESET_FILE).write_text(text, encoding="utf-8")
        preset = read_preset(work, content["name"])
        (work / CARD_FILE).write_text(model_card(preset), encoding="utf-8")
    return read_preset(target, content["name"])


def save_model(model: Savable, folder: Path, *, overwrite: bool = True, **options: Any) -> Path:
    """Write a model as a preset folder: what `HierarchicalVAE.save` does.

    Args:
        model: the model.
        folder: the preset's folder.
        overwrite: replace a preset in ``folder``.
        options: further arguments of `write_preset`, such as ``figures`` and ``info``.

    Returns:
        The folder.

    Raises:
        PresetError: see `write_preset`.
    """
    from hvae_core.weights import save_weights

    name = (options.get("info") or {}).get("name") or real_name(folder)
    write_preset(
        folder,
        model.config,
        lambda path: save_weights(model, path, {"preset": name}),
        overwrite=overwrite,
        **options,
    )
    return folder


def _content(
    target: Path,
    config: Config | Mapping[str, Any],
    figures: Mapping[str, Any] | None,
    info: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """What preset.yaml will hold, in the order a reader wants it."""
    info = dict(info or {})
    unknown = sorted(set(info) - set(PRESET_KEYS))
    if unknown:
        raise PresetError(
            f"A preset has no key {unknown[0]!r}.", f"Known keys: {', '.join(PRESET_KEYS)}."
        )
    name = check_name(info.pop("name", None) or real_name(target), "a preset's name")
    if isinstance(config, Mapping):
        keys = dict(config)
    else:
        keys = config.to_dict()
        if plugins := config.foreign_plugins():
            info["plugins"] = plugins
    head: dict[str, Any] = {key: keys.pop(key) for key in ("format", "summary") if key in keys}
    sources = list((info.pop("weights", None) or {}).get("sources") or [])
    recorded = info.pop("figures", None)
    content: dict[str, Any] = {"name": name, **head, **info, **keys}
    if measured := dict(figures or recorded or {}):
        content["figures"] = measured
    if sources:
        content["weights"] = {"sources": sources}
    return content


def _add_weights(path: Path, weights: WeightsWriter, content: dict[str, Any]) -> None:
    if isinstance(weights, Path):
        copy_weights(weights, path, preset=content["name"])
    elif weights is not None:
        weights(path)
    content["parameters"] = read_header(path).parameters
    record = {"sha256": file_digest(path), "size": path.stat().st_size}
    content["weights"] = {**record, **content.get("weights", {})}


def _check_pictures(pictures: Sequence[Path]) -> None:
    for picture in pictures:
        if picture.name not in PICTURES:
            raise PresetError(
                f"A preset has no picture {picture.name!r}.",
                f"Known pictures: {', '.join(PICTURES)}.",
            )


def check_target(folder: str | Path, overwrite: bool, option: str = "overwrite=True") -> None:
    """Refuse a folder that a preset cannot be written to, before there is one to write.

    Args:
        folder: the preset's folder to be.
        overwrite: a preset in ``folder`` may be replaced.
        option: what allows that, for the message.

    Raises:
        PresetError: it is a file, has content and ``overwrite`` is off, or is no preset.
    """
    target = Path(folder)
    if not exists(target):
        above = next((folder for folder in target.parents if exists(folder)), None)
        if above is not None and not is_folder(above):
            raise PresetError(f"Cannot write the preset {target}: {above} is a file, not a folder.")
        return
    if not is_folder(target):
        raise PresetError(f"Cannot write the preset {target}: it is a file, not a folder.")
    if not any(target.iterdir()):
        return
    if not is_file(target / PRESET_FILE):
        raise PresetError(
            f"Cannot write the preset {target}: the folder holds other files.",
            "Choose a new folder.",
        )
    if not overwrite:
        raise PresetError(
            f"The preset {target} exists already.",
            f"Choose a new folder, or replace it with {option}.",
        )
