"""What the commands share: options, results to stdout, progress to stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

if TYPE_CHECKING:
    from rich.console import Console

    from hvae_core.evaluation.verbs import Verbs

M = TypeVar("M", bound="Verbs")

json_option = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
overrides_option = click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="Override an option of the configuration, such as data.root=DIR. Repeatable.",
)
seed_option = click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of the noise."
)
batch_size_option = click.option(
    "--batch-size",
    type=click.IntRange(min=1),
    default=32,
    show_default=True,
    help="Images computed at a time.",
)
temperature_option = click.option(
    "--temperature",
    type=float,
    default=1.0,
    show_default=True,
    help="Factor of the priors' standard deviations.",
)


class SizeType(click.ParamType):
    """A height and a width, as 128x192, or the side of a square: a pair of integers."""

    name = "HEIGHTxWIDTH"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, int]:
        """Read it, or fail with what was expected."""
        if isinstance(value, tuple):
            return value
        sides = str(value).lower().split("x")
        if not 1 <= len(sides) <= 2 or not all(side.isdecimal() for side in sides):
            self.fail(f"{value!r} is no size; expected such as 128x192, or 128 for a square.")
        return int(sides[0]), int(sides[-1])


size_option = click.option(
    "--size", type=SizeType(), metavar="HEIGHTxWIDTH",
    help="The same weights for images of this size, where no scale is pinned to its own.",
)  # fmt: skip


def at_size(model: M, size: tuple[int, int] | None) -> M:
    """The model, or that of the same weights at the size that ``--size`` gives."""
    return model if size is None else cast("M", model.at_size(*size))


def tile_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options ``--tile`` and ``--overlap``."""
    for option in (
        click.option(
            "--overlap", type=SizeType(), metavar="HEIGHTxWIDTH",
            help="Pixels that neighbouring tiles share (else a quarter of a tile).",
        ),
        click.option(
            "--tile", type=SizeType(), metavar="HEIGHTxWIDTH",
            help="Take images in the size they have, in tiles of this size: memory is bounded.",
        ),
    ):  # fmt: skip
        command = option(command)
    return command


def emit(payload: Any, as_json: bool, lines: Iterable[str] | Any = ()) -> None:
    """Write a result to stdout.

    Args:
        payload: what ``--json`` prints.
        as_json: whether ``--json`` was given; numbers that are not finite become null.
        lines: otherwise: lines of text, or something that rich renders, such as a table.
    """
    if as_json:
        from hvae_core.files.json_files import plain

        click.echo(json.dumps(plain(payload), indent=2, default=str, allow_nan=False))
    elif isinstance(lines, str):
        click.echo(lines)
    elif hasattr(lines, "__rich_console__"):
        from rich.console import Console

        # In a pipe there is no width to fit; nothing may be cut off there.
        width = None if sys.stdout.isatty() else 200
        Console(file=sys.stdout, width=width).print(lines)
    else:
        for line in lines or ():
            click.echo(line)


def progress_console() -> Console:
    """A console on stderr."""
    from rich.console import Console

    return Console(stderr=True)


@contextmanager
def progress_bar(title: str, as_json: bool = False) -> Iterator[Callable[[int, int | None], None]]:
    """A progress bar on stderr; gives a function of what is done and the total.

    Silent where stderr is no terminal.
    """
    if as_json or not sys.stderr.isatty():
        yield lambda done, total: None
        return
    from rich.progress import Progress

    with Progress(console=progress_console(), transient=True) as bar:
        task = bar.add_task(title, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
