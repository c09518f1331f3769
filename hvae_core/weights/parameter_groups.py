"""Choosing weights: by patterns of their names, and those that weight decay is for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from hvae_core.errors import ConfigError, did_you_mean
from hvae_core.weights.model_weights import dotted, weight_names


def is_decayed(variable: Any) -> bool:
    """Whether weight decay applies to a Keras variable: to kernels alone."""
    return variable.path.rsplit("/", 1)[-1] in ("kernel", "depthwise_kernel")


def name_of(variable: Any) -> str:
    """The name of a model's weight, as in `weight_names`, without the model at hand."""
    return dotted(variable.path.partition("/")[2] or variable.path)


def modules(name: str) -> Iterator[str]:
    """A weight's name and those of the modules it lies in, outermost first."""
    parts = name.split(".")
    return (".".join(parts[: count + 1]) for count in range(len(parts)))


def is_chosen(name: str, patterns: Iterable[str]) -> bool:
    """Whether a pattern names the weight, or a module it lies in."""
    return any(fnmatchcase(part, pattern) for part in modules(name) for pattern in patterns)


def choose(names: Sequence[str], patterns: Sequence[str], option: str) -> list[str]:
    """The weights that the patterns name, in the order of ``names``.

    Args:
        names: of a model's weights, such as ``decoder.blocks.3.prior.conv1.kernel``.
        patterns: of shell style (``*``, ``?``, ``[...]``); one names a weight, or a module and so
            all that is in it.
        option: where the patterns stand, for the message.

    Raises:
        ConfigError: a pattern names nothing.
    """
    for pattern in patterns:
        if not any(is_chosen(name, [pattern]) for name in names):
            places = {part for name in names for part in modules(name)}
            hint = did_you_mean(pattern, places)
            if not hint.startswith("Did"):
                first = sorted({name.split(".")[0] for name in names})
                hint = f"The model's outermost modules are: {', '.join(first)}."
            raise ConfigError(f"{option} has {pattern!r}, which names no weight.", hint)
    return [name for name in names if is_chosen(name, patterns)]


def freeze_chosen(model: Any, patterns: Sequence[str]) -> None:
    """Take the weights that the patterns of ``train.freeze`` name out of training.

    Args:
        model: a built Keras model.
        patterns: see `choose`.

    Raises:
        ConfigError: a pattern names nothing.
    """
    named = weight_names(model)
    for name in choose(list(named), patterns, "train.freeze"):
        named[name].trainable = False


def patterns_of(names: Mapping[str, bool]) -> list[str]:
    """The fewest names of modules and weights that choose just the weights marked true.

    Args:
        names: of all weights of a model, each with whether it is to be chosen.
    """
    sizes = Counter(part for name in names for part in modules(name))
    chosen = Counter(part for name, mark in names.items() if mark for part in modules(name))
    whole = {part for part, count in chosen.items() if count == sizes[part]}
    outermost = (
        next(part for part in modules(name) if part in whole) for name in names if name in whole
    )
    return list(dict.fromkeys(outermost))
