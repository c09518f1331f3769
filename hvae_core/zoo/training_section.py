"""What a card says of the training: how the weights came about, and the preset's recipe."""

from __future__ import annotations

from hvae_core.config import Component, ParameterGroup, TrainConfig
from hvae_core.zoo.origin import NAME_PATTERN
from hvae_core.zoo.preset import Preset
from hvae_core.zoo.training_images import KEY, data_record

#: options of the update that are told where they are not the defaults
_OPTIMIZER = ("beta_1", "beta_2")
_FURTHER = (
    "accumulate",
    "beta",
    "beta_warmup",
    "beta_warmup_epochs",
    "beta_cycles",
    "kl_balancing_steps",
    "free_bits",
)


def training_section(preset: Preset) -> str:
    """``trained`` of ``preset.yaml`` and the recipe.

    ``trained.how``, where the recipe alone does not say how the weights came about, comes first.
    ``trained.start`` is the preset that they started from.
    """
    train, trained = preset.config.train, dict(preset.info.get("trained") or {})
    how, images = trained.pop("how", None), data_record(preset)
    trained.pop(KEY, None)
    text = f"{recipe(train)}."
    if how:
        text = f"{how}\n\nThe preset's recipe, which {_follower(preset)}: {text}"
    facts = [f"- {key.replace('_', ' ')}: {value}" for key, value in trained.items()]
    facts += [
        f"- split {name}: {found.images:,} images, SHA-256 {found.sha256}"
        for name, found in (images.splits if images else {}).items()
    ]
    return f"{text}\n\n" + "\n".join(facts)


def _follower(preset: Preset) -> str:
    """The command that follows the recipe, and from which weights."""
    train, command = preset.config.train, f"hvae train {preset.name}"
    if train.objective == "evidence" and not train.freeze:
        return f"`{command}` follows from fresh weights"
    # what is kept or frozen has to be there
    start = (preset.info.get("trained") or {}).get("start")
    is_name = isinstance(start, str) and NAME_PATTERN.fullmatch(start)
    return f"`{command} --weights {start if is_name else 'PRESET'}` follows"


def recipe(train: TrainConfig) -> str:
    """What decides what a training comes to; of most options only what is not the default."""
    parts = [
        "" if train.objective == "evidence" else f"objective {train.objective}",
        _component(train.optimizer),
        *_changed(train, _OPTIMIZER),
        f"learning rate {train.learning_rate:g} ({_component(train.schedule)})",
        f"weight decay {train.weight_decay:g}",
        f"batches of {train.batch_size}",
        _length(train),
        f"averaged weights with decay {train.ema_decay:g}",
        f"gradients clipped to {train.clip_norm:g}" if train.clip_norm else "",
        f"updates with a norm of {train.skip_norm:g} or more skipped" if train.skip_norm else "",
        *_changed(train, _FURTHER),
        f"frozen: {_patterns(train.freeze)}" if train.freeze else "",
        *map(_group, train.parameter_groups),
    ]
    return ", ".join(filter(None, parts))


def _changed(train: TrainConfig, names: tuple[str, ...]) -> list[str]:
    """Options that are not the defaults; a warm-up of 0 is as good as none."""
    usual = TrainConfig()
    values = {name: getattr(train, name) for name in names}
    return [
        f"{name} {value:g}"
        for name, value in values.items()
        if (value or 0) != (getattr(usual, name) or 0)
    ]


def _component(component: Component) -> str:
    """Its name, and its options that are not the defaults."""
    told = ", ".join(f"{name} {value}" for name, value in component.changed_options.items())
    return f"{component.name} with {told}" if told else component.name


def _length(train: TrainConfig) -> str:
    if train.minutes:
        return f"{train.minutes:g} minutes"
    if train.steps:
        return f"{train.steps:,} steps"
    return f"{train.epochs} epochs" if train.epochs else "no set length"


def _group(group: ParameterGroup) -> str:
    own = [f"{group.learning_rate_factor:g} times the rate"]
    if group.weight_decay is not None:
        own.append(f"weight decay {group.weight_decay:g}")
    return f"{' and '.join(own)} for {_patterns(group.weights)}"


def _patterns(patterns: list[str]) -> str:
    """Names of weights as code, which their asterisks need."""
    return " and ".join(f"`{pattern.replace('`', '')}`" for pattern in patterns)
