"""``hvae config``: configurations and their schema."""

from __future__ import annotations

import json

import click

from hvae_core.cli.common import emit, json_option, overrides_option


@click.group()
def command() -> None:
    """Show a configuration, resolved and checked, or the schema of all of them."""


@command.command("show")
@click.argument("source", metavar="PRESET|FILE.yaml|RUN")
@overrides_option
@json_option
def show_command(source: str, overrides: tuple[str, ...], as_json: bool) -> None:
    """Show a configuration with every default filled in, as YAML."""
    from hvae_core.config import dump_yaml, load_config
    from hvae_core.zoo.finding import find_configuration

    config = load_config(find_configuration(source), overrides)
    emit(config.to_dict(), as_json, [dump_yaml(config).rstrip()])


@command.command("schema")
def schema_command() -> None:
    """Print the JSON schema of a configuration, for editors and checkers."""
    from hvae_core.config import config_schema

    click.echo(json.dumps(config_schema(), indent=2))
