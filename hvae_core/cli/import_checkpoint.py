"""``hvae import``: checkpoints of other implementations as preset folders."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator
from pathlib import PurePath
from typing import Any

import click

from hvae_core.cli.common import emit, json_option


class Formats(click.Group):
    """One command a plugin of the kind ``import``; a plugin is loaded when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The formats that are installed."""
        from hvae_core.plugins import manager

        return manager().names("import")

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """The command of a format."""
        from hvae_core.errors import PluginError, did_you_mean
        from hvae_core.plugins import manager

        if name not in self.list_commands(ctx):
            raise PluginError(
                f"There is no import format {name!r}.", did_you_mean(name, self.list_commands(ctx))
            )
        spec = manager().get("import", name)
        return _command(name, spec.summary, spec.config)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the formats without loading them."""
        with formatter.section("Formats"):
            formatter.write_dl([(name, "") for name in self.list_commands(ctx)])


@click.group(cls=Formats)
def command() -> None:
    """Make a preset folder of another implementation's checkpoint."""


def _command(name: str, summary: str, config_class: type) -> click.Command:
    fields = getattr(config_class, "model_fields", {})
    texts = {key for key, field in fields.items() if takes_text(field.annotation)}

    @click.command(name, help=f"{summary}.\n\nNothing in the file is run.")
    @click.argument("checkpoint", type=click.Path())
    @click.option("-o", "--output", required=True, metavar="DIR", help="The preset's folder.")
    @click.option(
        "--config", metavar="NAME|FILE",
        help="A configuration of the original, by its name or as a file with its keys; else the "
        "one whose tensors the checkpoint has.",
    )  # fmt: skip
    @click.option(
        "--set", "overrides", multiple=True, metavar="KEY=VALUE", help="An option of the format.",
    )  # fmt: skip
    @click.option("--overwrite", is_flag=True, help="Replace a preset in DIR.")
    @json_option
    def run(
        checkpoint: str,
        output: str,
        config: str | None,
        overrides: tuple[str, ...],
        overwrite: bool,
        as_json: bool,
        **own: str | None,
    ) -> None:
        from hvae_core.config import apply_overrides
        from hvae_core.files.paths import check_replaceable
        from hvae_core.zoo.conversion import import_checkpoint

        check_replaceable(output)
        given = [
            {key: value} if key in texts else f"{key}={value}"
            for key, value in own.items()
            if value is not None
        ]
        options: dict[str, Any] = apply_overrides({}, [*overrides, *given])
        preset = import_checkpoint(
            name, checkpoint, output, config, options=options, overwrite=overwrite
        )
        payload = {
            "output": str(preset.folder),
            "parameters": preset.info["parameters"],
            "sha256": preset.weights.sha256,
        }
        emit(payload, as_json, [f"{preset.info['parameters']:,} parameters in {preset.folder}"])

    for key, description in _own_options(config_class):
        flag = f"--{key.replace('_', '-')}"
        run = click.option(flag, key, metavar="VALUE", help=description)(run)
    return run


def _own_options(config_class: type) -> Iterator[tuple[str, str]]:
    """The format's own options and their descriptions, but for names that a command has anyway."""
    taken = {"checkpoint", "output", "config", "overrides", "set", "overwrite", "as_json", "json"}
    for key, field in getattr(config_class, "model_fields", {}).items():
        if key not in taken:
            yield key, field.description or ""


def takes_text(annotation: Any) -> bool:
    """Whether an option takes texts alone, so that a flag's value is one even where YAML sees more.

    ``--version 2`` is the version called 2, and ``--kind no`` is not false.
    """
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return takes_text(arguments[0])
    if origin is typing.Literal:
        return all(value is None or isinstance(value, str) for value in arguments)
    if origin in (typing.Union, types.UnionType):
        return all(takes_text(part) for part in arguments if part is not type(None))
    return isinstance(annotation, type) and issubclass(annotation, str | PurePath)
