"""Model cards: ``README.md`` of a preset folder, made from its ``preset.yaml`` alone."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from hvae_core.config import Component, Config, StageConfig
from hvae_core.data.given import PYTHON, described
from hvae_core.importing import formats_that_describe
from hvae_core.zoo.finding import figure_value
from hvae_core.zoo.preset import (
    PICTURES,
    RECONSTRUCTIONS_FILE,
    SAMPLES_FILE,
    TRAINING_FILE,
    Preset,
    how_to_get,
    train_command,
)
from hvae_core.zoo.training_section import training_section

_BIBTEX = """```bibtex
@software{hvae,
  title = {hvae: hierarchical variational autoencoders in {Keras}},
  author = {{The hvae developers}}
}
```"""
#: the Hub's name of what a model without an input does
_TASK = "unconditional-image-generation"
_FIGURE_NAMES = {
    "bits_per_dim": "bits/dim",
    "nats": "nats",
    "elbo": "ELBO",
    "importance_weighted": "importance-weighted",
    "importance_weighted_bits_per_dim": "importance-weighted",
    "psnr_of_mean": "PSNR of the draws' mean",
    "psnr_mean_filled": "PSNR of filling with the mean",
    "psnr_unadapted_encoder": "PSNR of the unadapted encoder",
    "ssim_of_mean": "SSIM of the draws' mean",
    "coverage_50": "coverage of 50 % intervals",
    "coverage_90": "coverage of 90 % intervals",
    "read_as_asked": "samples read as the digit asked for",
}


def model_card(preset: Preset) -> str:
    """The model card as Markdown.

    Raises:
        ConfigError: the preset's configuration is not valid.
    """
    config = preset.config
    sections = [
        f"# {preset.name}\n\n{preset.summary}".rstrip(),
        _picture(preset, SAMPLES_FILE),
        _section("Figures", f"{figures_table(preset)}\n\n{_commands(preset)}"),
        _section("Latent layers", _layers(preset)),
        _section("Use", _usage(preset)),
        _section("Architecture", _architecture(config, preset.info.get("parameters"))),
        _section("Data", _data(config)),
        _section("Training", f"{training_section(preset)}\n\n{_picture(preset, TRAINING_FILE)}"),
        _section("Notes", str(preset.info.get("notes") or "")),
        _section("Licence", preset.licence),
        _section("How to cite", _citation(preset)),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def hub_card(preset: Preset) -> str:
    """`model_card` with the head that the Hugging Face Hub reads.

    Raises:
        ConfigError: the preset's configuration is not valid.
    """
    licence = preset.licence.lower()
    known = re.fullmatch(r"[a-z0-9.+-]+", licence) is not None
    head = {
        "license": licence if known else "other",
        **({} if known else {"license_name": preset.licence}),
        "library_name": "hvae",
        "pipeline_tag": _TASK,
        "tags": ["hvae", "keras", "variational-autoencoder", "hierarchical-vae"],
        **_model_index(preset),
    }
    from hvae_core.files.yaml_files import dump_yaml

    return f"---\n{dump_yaml(head, inline=None)}---\n\n{model_card(preset)}"


def _model_index(preset: Preset) -> dict[str, Any]:
    """The figures as the Hub's ``model-index`` has them, which it shows beside the card."""
    metrics = []
    for name, figure in preset.figures.items():
        label, value = _FIGURE_NAMES.get(name, name), figure_value(figure)
        how = figure.get("how") if isinstance(figure, Mapping) else None
        if value is not None:
            named = f"{label} ({how})" if how else label
            metrics.append({"type": name, "value": value, "name": named})
    if not metrics:
        return {}
    data = preset.config.data
    dataset = {"type": data.name, "name": data.spec.summary or data.name}
    result = {"task": {"type": _TASK}, "dataset": dataset, "metrics": metrics}
    return {"model-index": [{"name": preset.name, "results": [result]}]}


def _picture(preset: Preset, file: str) -> str:
    """A picture that is there, and what it shows."""
    if not (preset.folder / file).is_file():
        return ""
    caption = (preset.info.get("pictures") or {}).get(file)
    return f"![{PICTURES[file]}]({file})" + (f"\n\n{caption}" if caption else "")


def _layers(preset: Preset) -> str:
    """What the latent layers hold, coarsest first."""
    found = dict(preset.info.get("layers") or {})
    how, kl, picture = found.pop("how", ""), found.get("kl"), _picture(preset, RECONSTRUCTIONS_FILE)
    shapes = preset.config.model.latent_shapes
    if not kl or len(kl) != len(shapes):
        return picture
    columns = {"kl": "KL, nats", "active_units": "units in use", "units": "units"}
    shown = [key for key in columns if key in found]
    rows = [
        [number, "x".join(map(str, shape)), *figures]
        for number, (shape, *figures) in enumerate(
            zip(shapes, *(found[key] for key in shown), strict=True), 1
        )
    ]
    table = _table(["layer", "latent", *(columns[key] for key in shown)], rows)
    return "\n\n".join(filter(None, [table, f"Of {how}." if how else "", picture]))


def _section(title: str, body: str) -> str:
    return f"## {title}\n\n{body.strip()}" if body.strip() else ""


def _table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    lines = [head, ["-"] * len(head), *rows]
    cells = [[str(cell).replace("|", "\\|").replace("\n", " ") for cell in row] for row in lines]
    return "\n".join(f"| {' | '.join(row)} |" for row in cells)


def figures_table(preset: Preset) -> str:
    """The preset's figures and how they were measured, as Markdown."""
    if not preset.figures:
        return (
            "Nothing has been measured: there are no trained weights."
            if (preset.weights_path is None)
            else "Nothing has been measured."
        )
    rows = []
    for name, figure in preset.figures.items():
        known = dict(figure) if isinstance(figure, Mapping) else {"value": figure}
        value, unit, how = known.pop("value", ""), known.pop("unit", ""), known.pop("how", "")
        known.pop("command", None)
        rest = ", ".join(f"{key.replace('_', ' ')}: {text}" for key, text in known.items())
        number = f"{value:.6g}" if isinstance(value, float) else value
        measured = "; ".join(filter(None, (str(how), rest)))
        rows.append([_FIGURE_NAMES.get(name, name), f"{number} {unit}".strip(), measured])
    return _table(["figure", "value", "how it was measured"], rows)


def _commands(preset: Preset) -> str:
    """What measures the figures that say so, each command once."""
    figures = [figure for figure in preset.figures.values() if isinstance(figure, Mapping)]
    commands = dict.fromkeys(str(figure["command"]) for figure in figures if "command" in figure)
    if not commands:
        return ""
    # of whoever wrote the preset: one line each, which does not end the block
    lines = [" ".join(command.replace("`", "'").split()) for command in commands]
    return "Measured with:\n\n```\n" + "\n".join(lines) + "\n```"


def _usage(preset: Preset) -> str:
    first, name = _first(preset)
    values, measurement = preset.config.model.condition_values, preset.config.measurement
    asked, argument = "", ""
    if values is not None:
        given = "0" if values.form == "class" else ",".join(["0"] * values.size)
        asked = f" --condition {'all' if values.form == 'class' else given}"
        argument = f", condition={given if values.form == 'class' else [0.0] * values.size}"
    completes = f"hvae complete {name} -n 8 -o completed.png\n" if measurement else ""
    drawn = (
        "draws = model.posterior_sample(y, mask, n=16)  # of measured images and their masks\n"
        if measurement
        else ""
    )
    return (
        f"{first}{completes}hvae sample {name} -n {4 if asked else 16}{asked} --seed 0 "
        f"-o samples.png\nhvae evaluate {name}\n```\n\n"
        f'```python\nimport hvae\n\nmodel = hvae.load("{name}")\n{drawn}'
        f"images = model.sample(16{argument}, seed=0)  # uint8, channels last\n```"
    )


def _first(preset: Preset) -> tuple[str, str]:
    """What has to be run before a preset can be used, and by what name it can be used then."""
    name = preset.name
    if preset.weights_path is not None:
        return "```\n", name
    if preset.weights.is_to_be_had:
        return f"The weights are not on this machine. {how_to_get(preset, name)}\n\n```\n", name
    formats = formats_that_describe(preset.config)
    if formats:
        return (
            "There are no weights yet: they come with a checkpoint of the original.\n\n```\n"
            f"hvae import {formats[0]} CHECKPOINT -o ./{name}\n",
            f"./{name}",
        )
    command = f"{train_command(preset, name)} --output runs/{name}"
    return f"There are no weights yet: they are to be trained.\n\n```\n{command}\n", f"runs/{name}"


def _architecture(config: Config, parameters: Any) -> str:
    model = config.model
    layers = sum(stage.decoder_blocks for stage in model.stages)
    size = f", {parameters:,} parameters" if isinstance(parameters, int) else ""
    height, width, channels = model.image_shape
    text = (
        f"A hierarchical VAE of {height}x{width} images with {channels} "
        f"channel{'s' if channels > 1 else ''}: {layers} latent layers at {len(model.stages)} "
        f"scales{size}."
    )
    head = ["scale", "width", "middle width (up, down)", "blocks up", "latent layers", "latent"]
    return f"{text}\n\n{_table(head, map(_stage_row, model.stages))}\n\n{_parts(config)}"


def _stage_row(stage: StageConfig) -> list[Any]:
    return [
        "x".join(map(str, stage.size)),
        stage.width
        if stage.width == stage.decoder_width
        else f"{stage.width}, {stage.decoder_width}",
        f"{stage.encoder_middle_width}, {stage.decoder_middle_width}",
        stage.encoder_blocks,
        stage.decoder_blocks,
        "x".join(map(str, stage.latent_shape)),
    ]


def _parts(config: Config) -> str:
    model = config.model
    parts: dict[str, str] = {
        "Block": f"{model.block.name}, {model.block_activation}, "
        f"{model.conv} convolutions, norm {model.norm}",
        "Readout": model.readout.kind,
        "Likelihood": _component(config.likelihood),
    }
    for title, component in (
        ("Flow", model.flow),
        ("Attention", model.attention),
        ("Regularizer", config.regularizer),
        ("Condition", model.condition),
        ("Measurement", config.measurement),
    ):
        if component is not None:
            parts[title] = _component(component)
    return "\n".join(f"- {title}: {text}" for title, text in parts.items())


def _component(component: Component) -> str:
    options = {key: value for key, value in component.to_dict().items() if key != "name"}
    text = ", ".join(f"{key} {value}" for key, value in options.items() if value is not None)
    return f"{component.name} ({text})" if text else component.name


def _data(config: Config) -> str:
    if config.data.name == PYTHON:
        return f"A program's own images: {described(config.data)}."
    return f"{_component(config.data)}: {config.data.spec.summary}"


def _citation(preset: Preset) -> str:
    """The author's words, or the toolkit and the papers that the model's parts come from."""
    if preset.info.get("cite"):
        return str(preset.info["cite"])
    papers = dict.fromkeys(
        reference
        for component in preset.config.components()
        if component.kind not in ("optimizer", "schedule", "tracker")
        for reference in component.spec.references
    )
    listed = "\n".join(f"- {paper}" for paper in papers)
    return f"{_BIBTEX}\n\nThe model and its data build on:\n\n{listed}" if listed else _BIBTEX
