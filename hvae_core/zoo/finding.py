"""Finding presets and runs on this machine by what names them. No network, no Keras."""

from __future__ import annotations

import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from hvae_core.errors import BadInputError, ConfigError, PresetError, did_you_mean
from hvae_core.fetching.addresses import HubAddress, is_address
from hvae_core.files.foreign_numbers import is_number
from hvae_core.files.paths import exists, expand_home, is_file, is_folder
from hvae_core.zoo.folders import broken_hint, installed_presets, presets_folder, pulled_presets
from hvae_core.zoo.preset import PRESET_FILE, WEIGHTS_FILE, Preset, how_to_get, read_preset

if TYPE_CHECKING:
    from hvae_core.config import Config

#: commands that a preset may be for: with weights all but ``import``, ``denoise`` where the
#: likelihood is a model of noise and ``counterfactual`` where there is a condition; without,
#: ``train``, and ``import`` where a format of checkpoints holds its model
Task = Literal[
    "sample",
    "reconstruct",
    "encode",
    "decode",
    "interpolate",
    "complete",
    "denoise",
    "counterfactual",
    "explore",
    "evaluate",
    "export",
    "train",
    "import",
]
TASKS: tuple[Task, ...] = get_args(Task)


def list_presets(
    pattern: str = "*",
    *,
    weights: bool | None = None,
    data: str | None = None,
    task: Task | None = None,
) -> list[str]:
    """The names of the installed and pulled presets.

    Args:
        pattern: a shell pattern such as ``cifar10*``.
        weights: only those whose weights are here or can be pulled (True), or there are none of
            (False).
        data: only those of this data set.
        task: only those that this can be done with, see `TASKS`.

    Raises:
        BadInputError: there is no such task.
    """
    if task is not None and task not in TASKS:
        raise BadInputError(f"There is no task {task!r}.", did_you_mean(task, TASKS))
    names = sorted(fnmatch.filter({*installed_presets(), *pulled_presets()}, pattern))
    if weights is None and data is None and task is None:
        return names
    return [name for name in names if _matches(name, weights, data, task)]


def _matches(name: str, weights: bool | None, data: str | None, task: Task | None) -> bool:
    try:
        summary = preset_summary(name)
    except PresetError:  # a damaged one is no answer to a question
        return False
    return (
        weights in (None, summary["weights"] != "none")
        and data in (None, summary["data"])
        and (task is None or task in preset_tasks(name))
    )


def find_preset(source: str | Path | Preset) -> Preset:
    """Find a preset on this machine; the network is never touched.

    Args:
        source: a name, a preset folder, a ``.safetensors`` file beside a ``preset.yaml``, or
            ``hf://owner/name[@revision]`` where that was pulled.

    Raises:
        PresetError: there is no such preset; the hint has the nearest name.
    """
    if isinstance(source, Preset):
        return source
    text = str(source)
    if isinstance(source, str) and is_address(text):
        return _find_address(text)
    if isinstance(source, Path) or "/" in text or "\\" in text or text.startswith((".", "~")):
        return _find_path(expand_home(source, PresetError))
    installed = installed_presets().get(text, [])
    if len(installed) > 1:
        places = " and ".join(str(folder) for folder in installed)
        raise PresetError(
            f"Two installed presets are named {text!r}: {places}.",
            "Give the folder of the one that is meant, or uninstall the other.",
        )
    cached = pulled_presets().get(text)
    if installed:
        preset = read_preset(installed[0], text, "installed")
        if preset.weights_path is None and cached is not None:
            return _with_pulled_weights(preset, cached)
        return preset
    if cached is not None:
        return read_preset(cached, text, "pulled")
    if exists(text):
        return _find_path(Path(text))
    raise PresetError(
        f"There is no preset named {text!r}.", did_you_mean(text, list_presets()) + broken_hint()
    )


def preset_summary(name: str | Path | Preset) -> dict[str, Any]:
    """What a listing says of a preset, from its YAML alone; the configuration is not validated."""
    preset = find_preset(name)
    elsewhere = "to pull" if preset.weights.is_to_be_had else "none"
    return {
        "name": preset.name,
        "summary": preset.summary,
        "data": _component_name(preset.info.get("data", "digits")),
        "condition": _component_name(_condition(preset)) or None,
        "measurement": _component_name(preset.info.get("measurement")) or None,
        "parameters": preset.info.get("parameters"),
        "bits_per_dim": figure_value(preset.figures.get("bits_per_dim")),
        "nats": figure_value(preset.figures.get("nats")),
        "weights": elsewhere if preset.weights_path is None else preset.origin,
        "licence": preset.licence,
        "folder": str(preset.folder),
    }


def _component_name(component: Any) -> str:
    """The name of a component as a preset's YAML has it, or the word that stands for it there."""
    return str((component.get("name") if isinstance(component, dict) else component) or "")


def _condition(preset: Preset) -> Any:
    """The component that conditions a preset's model, as its YAML has it; None without one."""
    model = preset.info.get("model")
    return model.get("condition") if isinstance(model, dict) else None


def preset_tasks(name: str | Path | Preset) -> list[Task]:
    """What of `TASKS` can be done with a preset. Without weights its configuration is read."""
    preset = find_preset(name)
    if preset_summary(preset)["weights"] != "none":
        return _possible(preset)
    from hvae_core.importing import formats_that_describe

    try:
        imported = bool(formats_that_describe(preset.config))
    except ConfigError:  # of a version or a plugin that is not here
        imported = False
    return ["train", "import"] if imported else ["train"]


def _possible(preset: Preset) -> list[Task]:
    """What can be done with a preset that has weights, by its YAML alone."""
    lacking: set[Task] = {"import"}
    if _component_name(preset.info.get("likelihood")) != "noise-model":
        lacking.add("denoise")
    if _condition(preset) is None:
        lacking.add("counterfactual")
    return [task for task in TASKS if task not in lacking]


def figure_value(figure: Any) -> float | None:
    """The number in a figure given as ``2.9`` or as ``{value: 2.9, how: ...}``."""
    value = figure.get("value") if isinstance(figure, dict) else figure
    return float(value) if is_number(value) else None


def _with_pulled_weights(installed: Preset, cached: Path) -> Preset:
    """The pulled copy of an installed preset, unless it is of another version."""
    pulled = read_preset(cached, installed.name, "pulled")
    same = installed.weights.is_same_as(pulled.weights)
    return pulled if same and pulled.weights_path is not None else installed


def _find_path(path: Path) -> Preset:
    if path.suffix == ".safetensors" and is_file(path):
        if path.name != WEIGHTS_FILE:
            raise PresetError(
                f"The weights file of a preset is named {WEIGHTS_FILE}, not {path.name}."
            )
        path = path.parent
    if is_file(path / PRESET_FILE):
        return read_preset(path)
    if is_folder(path):
        raise PresetError(f"The folder {path} is no preset: it has no {PRESET_FILE}.")
    if exists(path):
        raise PresetError(f"{path} is no preset; expected a folder with a {PRESET_FILE}.")
    raise PresetError(
        f"There is no preset at {path}.", did_you_mean(path.name, list_presets()) + broken_hint()
    )


def _find_address(address: str) -> Preset:
    if address.startswith("hf://"):
        name = HubAddress.parse(address).cache_name
        folder = presets_folder() / name
        if is_file(folder / PRESET_FILE):
            return read_preset(folder, name, "pulled")
    raise PresetError(
        f"{address} is not on this machine; loading never touches the network.",
        f"Pull it first with: hvae zoo pull {address}",
    )


def find_source(source: str | Path) -> tuple[Config, Path | None]:
    """The configuration and the weights, if any, that ``source`` means.

    Args:
        source: a preset's name or folder, a ``.safetensors`` file beside its ``preset.yaml``, a
            run folder of ``hvae train``, a YAML file, or ``hf://owner/name[@revision]`` once
            pulled.

    Raises:
        HvaeError: there is no such thing, or it is damaged.
    """
    from hvae_core.config import load_config
    from hvae_core.runs.best_checkpoint import find_weights
    from hvae_core.runs.run_folder import is_run_folder

    path = Path(source)
    if is_run_folder(path) and not is_file(path / "preset.yaml"):
        return find_weights(path)
    if path.suffix in (".yaml", ".yml"):
        return load_config(path), None
    preset = find_preset(source)
    return preset.config, preset.weights_path


def find_configuration(source: str | Path) -> Config:
    """The configuration that ``source`` means, with or without weights; see `find_source`."""
    from hvae_core.runs.run_folder import RunFolder, is_run_folder

    if is_run_folder(source):
        return RunFolder(source).read_config()
    return find_source(source)[0]


def find_with_weights(source: str | Path | Preset) -> tuple[Config, Path]:
    """As `find_source`, or `PresetError` where there are no weights on this machine."""
    if isinstance(source, Preset):
        config, weights = source.config, source.weights_path
    else:
        config, weights = find_source(source)
    if weights is None:
        name = source.name if isinstance(source, Preset) else source
        is_file = Path(name).suffix in (".yaml", ".yml")
        hint = f"Train it with: hvae train {name}" if is_file else how_to_get(find_preset(source))
        raise PresetError(f"{name} has no weights on this machine.", hint)
    return config, weights


def find_weights_file(source: str | Path) -> Path:
    """The safetensors file that ``source`` means: such a file, or what `load` takes.

    Raises:
        BadInputError: there is no such file.
        PresetError: it has no weights on this machine; the message says how to get them.
    """
    path = Path(source)
    if path.suffix == ".safetensors":
        if not is_file(path):
            raise BadInputError(f"There is no file {path}.")
        return path
    return find_with_weights(source)[1]
