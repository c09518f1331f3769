"""What the commands share: options, results to stdout, progress to stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.console import Console

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


def emit(payload: Any, as_json: bool, lines: Iterable[str] | Any = ()) -> None:
    """Write a result to stdout.

    Args:
        payload: what ``--json`` prints.
        as_json: whether ``--json`` was given.
        lines: otherwise: lines of text, or something that rich renders, such as a table.
    """
    if as_json:
        click.echo(json.dumps(payload, indent=2, default=str))
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
