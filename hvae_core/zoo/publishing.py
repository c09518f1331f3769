"""Publishing a model as a preset: to a folder, or to the Hugging Face Hub."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hvae_core.config import PRESET_KEYS
from hvae_core.errors import HvaeError, MissingDependencyError, PresetError
from hvae_core.fetching.addresses import HubAddress, is_address
from hvae_core.fetching.hub import hub_reason
from hvae_core.files.foreign_numbers import finite_number, is_number, whole_number
from hvae_core.files.paths import real_name
from hvae_core.files.places import offline
from hvae_core.zoo.cards import hub_card
from hvae_core.zoo.preset import (
    CARD_FILE,
    FILES,
    PICTURES,
    PRESET_FILE,
    Preset,
    check_name,
    how_to_get,
)
from hvae_core.zoo.without_places import without_places
from hvae_core.zoo.writing import check_target, write_preset

if TYPE_CHECKING:
    from hvae_core.config import Config

_NO_FIGURES = "These are no figures of an evaluation"
_EVALUATE = "Make them with: hvae evaluate --json"


@dataclasses.dataclass(frozen=True)
class Publication:
    """What is to be published.

    Args:
        config: the configuration.
        weights: the safetensors file.
        info: further keys of ``preset.yaml``, see `hvae_core.zoo.write_preset`; ``name`` among
            them.
        pictures: PNGs, see `hvae_core.zoo.write_preset`.
    """

    config: Config
    weights: Path
    info: Mapping[str, Any]
    pictures: Sequence[Path] = ()

    @classmethod
    def of(cls, preset: Preset) -> Publication:
        """The preset itself, with all that it says of itself.

        Raises:
            PresetError: it has no weights here.
        """
        if preset.weights_path is None:
            raise PresetError(
                f"The preset {preset.name!r} has no weights to push.", f"{how_to_get(preset)}."
            )
        info = {key: preset.info[key] for key in PRESET_KEYS if key in preset.info}
        pictures = [preset.folder / file for file in PICTURES]
        return cls(
            preset.config,
            preset.weights_path,
            {**info, "name": preset.name},
            [picture for picture in pictures if picture.is_file()],
        )


def push(
    publication: Publication,
    target: str | Path,
    *,
    force: bool = False,
    private: bool = False,
) -> str:
    """Publish a preset with a model card: figures, picture, licence, how to cite.

    What the configuration tells of this machine is left out, see `without_places`.

    Args:
        publication: what is to be published.
        target: the preset's folder, or ``hf://owner/name[@branch]``, where huggingface_hub's login
            is used.
        force: replace a preset that is there.
        private: make a new repository on the Hub a private one.

    Returns:
        The folder or address.

    Raises:
        PresetError: there is a preset already, or what the Hub needs is missing.
        HvaeError: it cannot be written; a folder is as it was.
    """
    name = check_push(publication.info, target, force=force)
    config = without_places(publication.config)
    if not is_address(str(target)):
        return str(_write(publication, config, Path(target), force).folder)
    address = HubAddress.parse(str(target))
    with tempfile.TemporaryDirectory(prefix="hvae-push-") as folder:
        preset = _write(publication, config, Path(folder) / name, force)
        (preset.folder / CARD_FILE).write_text(hub_card(preset), encoding="utf-8")
        _upload(preset, address, force, private)
    return str(target)


def check_push(info: Mapping[str, Any], target: str | Path, *, force: bool = False) -> str:
    """Refuse what `push` would, as far as it can be known before there is anything to publish.

    Args:
        info: see `Publication`.
        target: see `push`.
        force: see `push`.

    Returns:
        The name that the preset will have.

    Raises:
        PresetError: see `push`; or the preset has a name that none can have.
        HvaeError: the network is forbidden.
    """
    if not is_address(str(target)):
        name = check_name(info.get("name") or real_name(target), "a preset's name")
        check_target(target, force, "--force")
        return name
    address = HubAddress.parse(str(target))
    name = check_name(info.get("name") or address.name, "a preset's name")
    if not info.get("licence"):
        raise PresetError(
            f"Cannot push to {target} without a licence: nobody could use the weights.",
            "Give one, such as --licence Apache-2.0.",
        )
    if offline():
        raise HvaeError(f"Cannot push to {target}: HVAE_OFFLINE=1 forbids the network.")
    return name


def _write(publication: Publication, config: Config, folder: Path, force: bool) -> Preset:
    return write_preset(
        folder,
        config,
        publication.weights,
        info=publication.info,
        pictures=publication.pictures,
        overwrite=force,
    )


def _upload(preset: Preset, address: HubAddress, force: bool, private: bool) -> None:
    """One commit with all files, without the former preset's: nobody ever pulls half of them."""
    try:
        from huggingface_hub import HfApi
    except ImportError as error:
        raise MissingDependencyError.for_extra(
            "huggingface_hub", "hub", "Pushing to hf://"
        ) from error
    hub, repository = HfApi(), address.repository
    try:
        hub.create_repo(repository, private=private or None, exist_ok=True)
        if address.revision:
            hub.create_branch(repository, branch=address.revision, exist_ok=True)
        there = hub.file_exists(repository, PRESET_FILE, revision=address.revision)
        if there and not force:
            raise PresetError(
                f"hf://{repository} holds a preset already.", "Replace it with --force."
            )
        hub.upload_folder(
            repo_id=repository,
            folder_path=preset.folder,
            revision=address.revision,
            commit_message=f"{preset.name}, pushed by hvae",
            # A picture of the former preset must not stand beside the new weights.
            delete_patterns=list(FILES) if there else None,
        )
    except HvaeError:
        raise
    except Exception as error:  # the Hub's client raises of many libraries
        raise HvaeError(
            f"Cannot push to hf://{repository}: {hub_reason(error)}.",
            "Log in with: hf auth login",
        ) from error


def figures_of(evaluation: Mapping[str, Any]) -> dict[str, Any]:
    """The figures of a preset from what ``hvae evaluate --json`` prints, of completion too.

    Raises:
        PresetError: it is something else.
    """
    if "psnr_of_mean" in evaluation:
        return _completion_figures(evaluation)
    unit, where = _text(evaluation, "unit"), _images_of(evaluation)
    how = f"ELBO, one draw of the latents an image, {where}"
    in_bits = unit == "bits/dim"
    digits = 4 if in_bits else 2
    key, value = ("bits_per_dim", "bits_per_dim") if in_bits else ("nats", "elbo")
    figures = {key: {"value": round(_number(evaluation, value), digits), "unit": unit, "how": how}}
    if "importance_weighted" in evaluation:
        key = f"importance_weighted{'_bits_per_dim' if in_bits else ''}"
        draws = _count(evaluation, "importance_samples")
        figures[key] = {
            "value": round(_number(evaluation, key), digits),
            "unit": unit,
            "how": f"{draws} importance samples an image, {where}",
        }
    return figures


def layers_of(evaluation: Mapping[str, Any]) -> dict[str, Any]:
    """What each latent layer holds, from what ``hvae evaluate --json`` prints, if that says so.

    Raises:
        PresetError: it is something else.
    """
    if "kl_per_layer" not in evaluation:
        return {}
    found = {
        key: evaluation[key]
        for key in ("kl_per_layer", "active_units", "units")
        if key in evaluation
    }
    for key, numbers in found.items():
        if not isinstance(numbers, list) or not all(map(is_number, numbers)):
            raise _no_figures(f"{key} is no list of numbers")
    if len({len(numbers) for numbers in found.values()}) > 1:
        raise _no_figures("its lists of layers are of different lengths")
    kl = [round(float(nats), 2) for nats in found.pop("kl_per_layer")]
    return {"kl": kl, **found, "how": _images_of(evaluation)}


def _images_of(evaluation: Mapping[str, Any]) -> str:
    """Which images were evaluated, in words."""
    images = _count(evaluation, "images")
    return f"{images:,} {_text(evaluation, 'split')} images of {_text(evaluation, 'dataset')}"


def _completion_figures(evaluation: Mapping[str, Any]) -> dict[str, Any]:
    where = f"{_images_of(evaluation)}, {_number(evaluation, 'known'):.0%} of the pixels known"
    how = f"{_count(evaluation, 'draws')} draws of each of {where}"
    figures = {"psnr_of_mean": (evaluation, how)}
    baselines = evaluation.get("baselines")
    if not isinstance(baselines, Mapping) or not all(
        isinstance(of, Mapping) for of in baselines.values()
    ):
        raise _no_figures("baselines holds no figures of other models")
    for name, of in baselines.items():
        figures[f"psnr_{name}"] = (of, where if name == "mean_filled" else how)
    rounded = {
        key: {"value": round(_number(of, "psnr_of_mean"), 2), "unit": "dB", "how": told}
        for key, (of, told) in figures.items()
    }
    for key in ("coverage_50", "coverage_90"):
        if key in evaluation:
            share = round(100 * _number(evaluation, key), 1)
            told = f"of unknown pixels, {how}"
            rounded[key] = {"value": share, "unit": "%", "how": told}
    return rounded


def _number(figures: Mapping[str, Any], key: str) -> float:
    return float(finite_number(figures.get(key), f"{_NO_FIGURES}: {key}", PresetError, _EVALUATE))


def _count(figures: Mapping[str, Any], key: str) -> int:
    return whole_number(figures.get(key), f"{_NO_FIGURES}: {key}", 1, PresetError, _EVALUATE)


def _text(figures: Mapping[str, Any], key: str) -> str:
    text = figures.get(key)
    if not isinstance(text, str):
        raise _no_figures(f"{key} is no text")
    return text


def _no_figures(why: str) -> PresetError:
    return PresetError(f"{_NO_FIGURES}: {why}.", _EVALUATE)
