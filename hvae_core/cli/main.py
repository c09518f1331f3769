"""The ``hvae`` command. A command's module is imported when it is called, not for ``--help``."""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
from typing import Any

import click

from hvae_core.errors import BadInputError, HvaeError, PluginError, did_you_mean
from hvae_core.files.paths import is_too_long
from hvae_core.files.signals import hearing, say

#: command: module and its one line in ``hvae --help``
COMMANDS = {
    "train": ("hvae_core.cli.train", "Train a model, or go on with a run."),
    "sample": ("hvae_core.cli.sample", "Draw images from a model's prior."),
    "reconstruct": ("hvae_core.cli.reconstruct", "Encode images and draw them again."),
    "denoise": ("hvae_core.cli.denoise", "Clean noisy images, under a noise model."),
    "encode": ("hvae_core.cli.encode", "Write the latents of images."),
    "decode": ("hvae_core.cli.decode", "Make images of latents."),
    "complete": ("hvae_core.cli.complete", "Complete images from measurements of them."),
    "counterfactual": (
        "hvae_core.cli.counterfactual",
        "Draw images as they would be under another condition.",
    ),
    "interpolate": ("hvae_core.cli.interpolate", "Walk from one image to another."),
    "explore": ("hvae_core.cli.explore", "Try models out on a local page."),
    "evaluate": ("hvae_core.cli.evaluate", "Measure a model on a data set."),
    "report": ("hvae_core.cli.report", "Write a run's report as one HTML page."),
    "import": ("hvae_core.cli.import_checkpoint", "Make a preset of an original checkpoint."),
    "export": ("hvae_core.cli.export", "Write a model for OpenVINO, ONNX or another codebase."),
    "zoo": ("hvae_core.cli.zoo", "List, show, pull, verify, prune and push presets."),
    "plugins": ("hvae_core.cli.plugins", "List, show, check and write components."),
    "config": ("hvae_core.cli.config", "Show configurations and their schema."),
    "data": ("hvae_core.cli.data", "List, show and prepare data sets."),
    "doctor": ("hvae_core.cli.doctor", "Say what is installed and what is amiss."),
}


class LazyGroup(click.Group):
    """A group that knows its commands' names and imports one when it is called.

    Beside those of `COMMANDS` there are the components of the kind ``command``, of which only the
    metadata is read until one is called. None of them can take a name of `COMMANDS`.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All commands: those of `COMMANDS` in their order, then other packages'."""
        return [*COMMANDS, *foreign_commands()]

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """Import a command.

        Raises:
            PluginError: another package's cannot be loaded.
        """
        if name in COMMANDS:
            return importlib.import_module(COMMANDS[name][0]).command
        if name.rpartition(":")[2] in foreign_commands():
            return _load_foreign(name)
        return None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, or say which one is nearest."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            foreign = foreign_commands()
            if args[0].rpartition(":")[2] not in foreign:
                hint = did_you_mean(args[0], [*COMMANDS, *foreign])
                raise BadInputError(f"There is no command {args[0]!r}.", hint)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in COMMANDS.items()])
        foreign = foreign_commands()
        if foreign:
            with formatter.section("Commands of other packages"):
                formatter.write_dl([(name, f"from {origin}") for name, origin in foreign.items()])


def foreign_commands() -> dict[str, str]:
    """The commands of other packages and their distributions, from metadata alone."""
    from hvae_core.plugins import manager

    found: dict[str, list[str]] = {}
    for entry in manager().entries("command"):
        if entry.status != "disabled" and entry.name and entry.name not in COMMANDS:
            origin = f"{entry.distribution} {entry.version}".strip()
            found.setdefault(entry.name, []).append(origin)
    return {name: " and ".join(origins) for name, origins in found.items()}


def _load_foreign(name: str) -> click.Command:
    from hvae_core.plugins import manager

    spec = manager().get("command", name)
    entry = manager().find("command", name)
    try:
        command = spec.resolve()
    except (Exception, SystemExit) as error:
        raise PluginError(
            f"The command {name!r} of {entry.distribution} cannot be loaded: {error!r}.",
            f"Update or uninstall {entry.distribution}.",
        ) from error
    if not isinstance(command, click.Command):
        raise PluginError(
            f"The command {name!r} of {entry.distribution} is of type {type(command).__name__}; "
            "expected a click.Command.",
            f"Update or uninstall {entry.distribution}.",
        )
    return command


def _version(ctx: click.Context, parameter: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        import hvae_core

        click.echo(f"hvae {hvae_core.__version__}")
        ctx.exit()


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--backend",
    metavar="NAME",
    help="jax, tensorflow, torch or openvino (else KERAS_BACKEND, else the first installed).",
)
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_version,
    help="Print the version and leave.",
)  # fmt: skip
def cli(backend: str | None) -> None:
    """Train, evaluate, sample and share hierarchical VAEs."""
    if backend is not None:
        from hvae_core.backends.selection import select_backend

        select_backend(backend)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and leave with its exit code.

    0 done, 1 failed while running, 2 bad input, 130 interrupted. An error is one sentence on
    stderr; with ``--json`` it is JSON on stdout.
    """
    # Before a backend is imported: its start-up messages are no news to a user.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    arguments = sys.argv[1:] if arguments is None else arguments
    as_json = "--json" in arguments
    try:
        with hearing(_still_busy, (signal.SIGINT,), patience=0.5):
            result = cli.main(args=arguments, prog_name="hvae", standalone_mode=False)
        code = result if isinstance(result, int) else 0
    except HvaeError as error:
        _report(error.to_dict(), str(error), as_json)
        code = error.exit_code
    except click.ClickException as error:
        message = error.format_message()
        _report({"code": "usage", "message": message, "hint": ""}, message, as_json)
        code = 2
    except (click.Abort, KeyboardInterrupt) as error:
        # A run says where it is and how it goes on; click has made an Abort of that.
        click.echo(f"Interrupted. {error.__cause__ or error}".rstrip(), err=True)
        code = 130
    except BrokenPipeError:
        # The reader of our output went away, as with `| head`; that is no failure of ours.
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115
        code = 0
    except OSError as error:
        # A full disk, a folder without permission, a name that is too long for one: the user's to
        # mend, and no bug of ours.
        where = f"{error.filename}: " if error.filename else ""
        message = f"{where}{error.strerror or error}."
        _report({"code": "system", "message": message, "hint": ""}, message, as_json)
        code = 2 if is_too_long(error) else 1
    except Exception as error:
        code = _too_little_memory(error, as_json)
    sys.exit(code)


def _too_little_memory(error: Exception, as_json: bool) -> int:
    """Say that it was memory, if it was; any other error is a bug, and is raised again."""
    from hvae_core.backends.out_of_memory import is_out_of_memory, what_was_asked

    if not is_out_of_memory(error):
        raise error
    told = what_was_asked(error).rstrip(".")
    message = f"There is not enough memory{f': {told}' if told else ''}."
    hint = (
        "Ask for fewer images or draws, or smaller ones; for training set a smaller "
        "train.batch_size, train.accumulate or train.remat."
    )
    _report({"code": "memory", "message": message, "hint": hint}, f"{message} {hint}", as_json)
    return 1


def _still_busy(number: int) -> None:
    say("Interrupted: what is being compiled or computed has to end first.")


def _report(values: dict[str, Any], text: str, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({"error": values}))
    else:
        click.echo(f"Error: {text}", err=True)


if __name__ == "__main__":
    main()
