"""What the commands share: options, results to stdout, progress to stderr."""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click
from click.core import ParameterSource

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

#: the largest number of images, draws, pixels or the like that an option takes
LARGEST = 2**31 - 1


class WholeNumber(click.IntRange):
    """A whole number that is neither too small nor too large to compute with.

    Args:
        least: it has to be.
        most: it may be; far beyond what is of use, and not shown in the help.
    """

    def __init__(self, least: int, most: int = LARGEST) -> None:
        super().__init__(min=least)
        self.most = most

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read it, or fail with what was expected."""
        text = str(value)
        # Python reads no number of thousands of digits; it reads 1_000 as one.
        number = self.most + 1 if is_large(text, self.most) else super().convert(value, param, ctx)
        if number > self.most:
            self.fail(f"{shortened(text)} is too large; it may be {self.most} at most.", param, ctx)
        return int(number)


class Real(click.FloatRange):
    """A number, which "nan" is not; ``inf`` neither, unless it is allowed."""

    def __init__(self, infinite: bool = False, **bounds: Any) -> None:
        super().__init__(**bounds)
        self.infinite = infinite

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Read it, or fail with what was expected."""
        number = float(super().convert(value, param, ctx))
        if math.isnan(number) or (math.isinf(number) and not self.infinite):
            self.fail(f"{shortened(str(value))} is no finite number.", param, ctx)
        return number


def is_large(text: str, most: int = LARGEST) -> bool:
    """Whether a text is a whole number above ``most``, of so many digits as there are."""
    digits = text.strip().removeprefix("+").lstrip("0")
    return digits.isdecimal() and (len(digits) > len(str(most)) or int(digits) > most)


def shortened(text: str) -> str:
    """A text in quotes for a message, the middle left out where it is long."""
    return repr(text if len(text) <= 40 else f"{text[:18]}...{text[-18:]}")


seed_option = click.option(
    "--seed", type=WholeNumber(0, 2**63 - 1), default=0, show_default=True,
    help="Seed of the noise.",
)  # fmt: skip
batch_size_option = click.option(
    "--batch-size",
    type=WholeNumber(1),
    default=32,
    show_default=True,
    help="Images computed at a time.",
)
temperature_option = click.option(
    "--temperature",
    type=Real(),
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
        if not 1 <= len(sides) <= 2 or not all(
            side.isdecimal() and not is_large(side) for side in sides
        ):
            self.fail(
                f"{shortened(str(value))} is no size; expected such as 128x192, or 128 for a "
                "square."
            )
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


def refuse_given(*options: str, why: str, hint: str = "Leave one of them out.") -> None:
    """Refuse options that the user gave and that would be ignored.

    Args:
        options: of the running command, as they are written, such as ``--count``.
        why: the sentence goes on after "--count is given, but".
        hint: how to mend it.

    Raises:
        BadInputError: one of them stands on the command line, whatever its value; names the first.
    """
    from hvae_core.errors import BadInputError

    context = click.get_current_context()
    for option in options:
        (name,) = (p.name for p in context.command.params if option in p.opts)
        assert name is not None
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            raise BadInputError(f"{option} is given, but {why}.", hint)


def refuse_temperature(option: str) -> None:
    """Refuse ``--temperature`` where every latent is given, and say which option leaves some out.

    Raises:
        BadInputError: it was given.
    """
    refuse_given(
        "--temperature",
        why="no latent is drawn from the prior, whose temperature it is",
        hint=f"Give {option} as well, or leave it out.",
    )


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
        # Users' names are in it: nothing like [/x] or :x: is to be read as rich's own.
        Console(file=sys.stdout, width=width, markup=False, emoji=False).print(lines)
    else:
        for line in lines or ():
            click.echo(line)


def progress_console() -> Console:
    """A console on stderr."""
    from rich.console import Console

    return Console(stderr=True, markup=False, emoji=False)


@contextmanager
def progress_bar(title: str, as_json: bool = False) -> Iterator[None]:
    """Progress on stderr of what is computed within this context.

    A bar on a terminal; elsewhere, and with ``--json``, a plain line a minute.
    """
    from hvae_core.inference.watching import watch_progress

    if as_json or not sys.stderr.isatty():
        with watch_progress(PlainProgress(title)):
            yield
        return
    from rich.progress import Progress

    with Progress(console=progress_console(), transient=True) as bar:
        task = bar.add_task(title, total=None)

        def told(done: int, total: int) -> None:
            if done == 0:  # a further pass, whose time left is not the last one's
                bar.reset(task)
            bar.update(task, completed=done, total=total)

        with watch_progress(told):
            yield


class PlainProgress:
    """A line on stderr every so often, as a log of hours of work should have.

    Args:
        title: what is done.
        seconds: between two lines.
    """

    def __init__(self, title: str, seconds: float = 60.0) -> None:
        self.title, self.seconds = title, seconds
        self._told = self._since = time.monotonic()
        self._done = 0

    def __call__(self, done: int, total: int) -> None:
        """Tell of it, if it is time, with the time left at the speed since the last line.

        Where a pass has begun since then, that is its speed.
        """
        now = time.monotonic()
        if done == 0:
            self._since, self._done = now, 0
        if now - self._told < self.seconds:
            return
        from hvae_core.runs.clock import in_hours

        line = f"{self.title}: {done:,} of {total:,}"
        passed, new = now - self._since, done - self._done
        if new > 0 and done < total:
            line += f", {in_hours((total - done) * passed / new)} left"
        click.echo(line, err=True)
        self._told = self._since = now
        self._done = done
