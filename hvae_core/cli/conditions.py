"""Conditions as commands take them: ``cat``, ``3``, ``age=40,bmi=22`` or ``1.5,2``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from hvae_core.errors import BadInputError, DataError

if TYPE_CHECKING:
    import numpy as np

    from hvae_core.cli.images import Selection
    from hvae_core.exported.exported_model import ExportedModel
    from hvae_core.interfaces import ConditionValues
    from hvae_core.vae import HierarchicalVAE

#: every class in turn
ALL = "all"
condition_option = click.option(
    "--condition",
    metavar="CLASS|NUMBERS",
    help="Of a conditional model: a class's number or name, or numbers: 1.5,2 or age=40,bmi=22 "
    "(else those of the data set).",
)


def read_condition(values: ConditionValues | None, text: str, option: str = "--condition") -> Any:
    """What ``text`` says, as ``condition=`` takes it; whether it fits is checked by `encode`.

    Raises:
        BadInputError: the model has no condition, or numbers are no numbers.
    """
    if values is None:
        raise BadInputError(
            f"{option} {text} is given, but the model has no condition.",
            "Leave it out, or take a model that was trained with model.condition.",
        )
    if values.form == "class":
        return text
    parts = [part.strip() for part in text.split(",")]
    try:
        if all("=" in part for part in parts):
            pairs = [part.split("=", 1) for part in parts]
            return {name.strip(): float(number) for name, number in pairs}
        return [float(part) for part in parts]
    except ValueError:
        raise BadInputError(
            f"{option} {text} holds no numbers; expected {values.describe()}.",
            "Write them like 1.5,2 or name=1.5,other=2.",
        ) from None


def read_conditions(values: ConditionValues | None, texts: Sequence[str]) -> np.ndarray | None:
    """The conditions of a grid's rows, as `ConditionValues.encode` takes them: [rows, ...].

    Args:
        values: what the model's condition is made of.
        texts: what was given, ``all`` for every class; none: None of a model that does without.

    Raises:
        BadInputError: one does not fit the model, or none is given to a conditional model.
    """
    if not texts:
        if values is not None and not values.has_null:
            more = f", or {ALL} for a row each" if values.form == "class" else ""
            raise BadInputError(
                f"The model is conditional; expected {values.describe()}.",
                f"Give it with --condition{more}.",
            )
        return None
    import numpy as np

    chosen: list[Any] = []
    for text in texts:
        if text == ALL and values is not None and values.form == "class":
            chosen += range(values.size)
        else:
            chosen.append(read_condition(values, text))
    assert values is not None
    encoded = [values.encode(condition, 1, "--condition") for condition in chosen]
    rows: np.ndarray = values.decode(np.concatenate(encoded))
    return rows


def conditions_of(
    model: HierarchicalVAE | ExportedModel,
    given: str | None,
    selection: Selection,
    count: int,
    option: str = "--condition",
) -> np.ndarray | None:
    """The condition of each image of a command; None of a model that has none.

    Args:
        model: the model.
        given: what ``--condition`` says; None: the data set's.
        selection: the images, of which the user's own files say nothing of their condition.
        count: images in all.
        option: what it is given by, for messages.

    Raises:
        BadInputError: it does not fit, or is not known.
        DataError: the data set has none.
    """
    import numpy as np

    from hvae_core.data import open_conditions

    values = model.condition_values
    if given is not None:
        condition = read_condition(values, given, option)
        assert values is not None
        return values.decode(values.encode(condition, count, option))
    if values is None:
        return None
    if selection.images:
        raise BadInputError(
            f"The model is conditional, and your images do not say theirs; expected "
            f"{values.describe()}.",
            f"Give it with {option}.",
        )
    chosen, split = selection.open(model.config), selection.split
    conditions = open_conditions(values, chosen, split, len(chosen.load(split)))
    if conditions is None:
        raise DataError("The data set has no conditions.")
    return values.decode(conditions.batch(np.arange(count)))
