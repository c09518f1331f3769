"""``hvae explore``: a local page to try models out."""

from __future__ import annotations

import click


@click.command()
@click.argument("source", metavar="[PRESET|DIR|RUN]", required=False)
@click.option(
    "--host", default="127.0.0.1", show_default=True,
    help="The interface to serve on; another one lets others in.",
)  # fmt: skip
@click.option(
    "--port", type=click.IntRange(1, 65535),
    help="The port.  [default: the first free one from 7860 on]",
)  # fmt: skip
@click.option("--no-browser", is_flag=True, help="Do not open a browser.")
def command(source: str | None, host: str, port: int | None, no_browser: bool) -> None:
    """Open a page in the browser: sample, reconstruct, interpolate, KL of each layer.

    It begins with the model SOURCE (else the first preset with weights); the other presets are in
    its menu. It is served to this machine alone, and fetches nothing from the network.
    """
    from hvae_core.errors import BadInputError, MissingDependencyError
    from hvae_core.explore.models import Models
    from hvae_core.explore.server import gated, listen, serve, upload_folder

    with upload_folder() as folder:
        try:
            import gradio  # noqa: F401
        except ImportError as error:
            raise MissingDependencyError.for_extra("gradio", "explore", "hvae explore") from error
        try:  # before a model is loaded, which takes longer
            listening = listen(host, port)
        except OSError as error:
            where = f"{host}:{port}" if port else host or "an empty --host"
            raise BadInputError(
                f"Cannot serve on {where}: {error.strerror or error}.",
                "Choose another with --port or --host.",
            ) from error
        with listening:
            models = Models(source)
            from hvae_core.explore.page import build_page

            serve(
                gated(build_page(models), host, folder),
                listening,
                lambda address: click.echo(f"hvae explore is at {address} (Ctrl-C ends it)"),
                not no_browser,
            )
