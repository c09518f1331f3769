"""``hvae zoo pull`` and ``hvae zoo push``: presets from and to other places."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hvae_core.cli.common import (
    Real,
    emit,
    json_option,
    progress_console,
)

if TYPE_CHECKING:
    from hvae_core.zoo import Publication
    from hvae_core.zoo.pulling import PullProgress


@click.command("pull")
@click.argument("source")
@click.option("--revision", help="A branch, tag or commit of a repository on the Hub.")
@click.option("--force", is_flag=True, help="Fetch it again, and replace one of the same name.")
@click.option(
    "--least-rate",
    type=Real(min=0),
    default=1000.0,
    show_default=True,
    metavar="BYTES",
    help="Give up on a server that sends fewer bytes a second than this over a minute; 0: never.",
)
@click.option(
    "--max-time", type=Real(True, min=0, min_open=True), default=86400.0, show_default=True,
    metavar="SECONDS", help="Give up on a file that takes longer than this.",
)  # fmt: skip
@json_option
def pull_command(
    source: str,
    revision: str | None,
    force: bool,
    least_rate: float,
    max_time: float,
    as_json: bool,
) -> None:
    """Bring a preset's weights to this machine.

    SOURCE is a preset's name, the address of a preset folder (https://host/path/to/preset or
    hf://owner/name[@revision]), or a local folder. Presets go to the cache folder, which HVAE_HOME
    sets; HVAE_OFFLINE=1 forbids the network. An interrupted pull goes on when it is called again.
    """
    from hvae_core.errors import SlowDownloadError
    from hvae_core.zoo import pull

    try:
        with _progress() as progress:
            result = pull(
                source,
                revision=revision,
                progress=progress,
                force=force,
                least_rate=least_rate,
                max_time=max_time,
            )
    except SlowDownloadError as error:
        hint = f"{error.hint} --least-rate 0 and --max-time wait for a slow connection."
        raise SlowDownloadError(error.message, hint) from error
    emit(result.to_dict(), as_json, [f"{result.name}: {result.status}, in {result.folder}"])


@click.command("push")
@click.argument("source", metavar="PRESET|DIR|RUN")
@click.argument("target")
@click.option("--name", help="The preset's name (else the one it has).")
@click.option("--summary", help="One line on what it is.")
@click.option("--licence", help="Of the weights, such as Apache-2.0.")
@click.option("--cite", help="How to cite it, in Markdown.")
@click.option("--notes", help="What else there is to say, in Markdown.")
@click.option(
    "--figures", type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="FILE",
    help="What `hvae evaluate --json` printed.",
)  # fmt: skip
@click.option("--private", is_flag=True, help="Make a new repository on the Hub a private one.")
@click.option("--force", is_flag=True, help="Replace a preset that is there.")
@json_option
def push_command(
    source: str,
    target: str,
    figures: Path | None,
    private: bool,
    force: bool,
    as_json: bool,
    **said: str | None,
) -> None:
    """Publish a model as a preset, to the folder TARGET or to hf://owner/name[@branch].

    The model card is generated: figures, pictures, architecture, training, licence, how to cite.
    Pictures are drawn where there is none at all.
    """
    from hvae_core.fetching.addresses import is_address
    from hvae_core.files.paths import check_replaceable
    from hvae_core.zoo import push

    if not is_address(target):
        check_replaceable(target)
    with tempfile.TemporaryDirectory(prefix="hvae-push-") as folder:
        publication = _publication(source, target, force, figures, said, Path(folder))
        where = push(publication, target, force=force, private=private)
    name = publication.info["name"]
    emit({"name": name, "target": where}, as_json, [f"{name}: pushed to {where}"])


def _publication(
    source: str,
    target: str,
    force: bool,
    figures: Path | None,
    said: dict[str, str | None],
    folder: Path,
) -> Publication:
    """What is to be published, with pictures drawn, to the folder, where it has none.

    All that can be refused is, before the model is loaded for its pictures.
    """
    import dataclasses

    from hvae_core.api import load
    from hvae_core.errors import PresetError
    from hvae_core.files.json_files import read_object
    from hvae_core.files.paths import is_keras_file
    from hvae_core.report.card_pictures import draw_card
    from hvae_core.runs.best_checkpoint import how_far
    from hvae_core.runs.data_record import record_of
    from hvae_core.runs.run_folder import is_run_folder
    from hvae_core.zoo import Publication, find_preset
    from hvae_core.zoo.finding import find_source
    from hvae_core.zoo.publishing import check_push, figures_of, layers_of

    if is_run_folder(source):
        config, weights = find_source(source)
        assert weights is not None
        trained: dict[str, Any] = {**how_far(source)}
        if record := record_of(source):
            trained["splits"] = record.summary()
        own = {"name": Path(source).resolve().name, "trained": trained}
        found = Publication(config, weights, own)
    elif is_keras_file(source):
        saved = Publication.of(find_preset(load(source).save(folder / "model")))
        found = dataclasses.replace(saved, info={**saved.info, "name": Path(source).stem})
    else:
        found = Publication.of(find_preset(source))
    info = {**found.info, **{key: text for key, text in said.items() if text and key != "summary"}}
    if figures is not None:
        try:
            evaluation = read_object(figures, PresetError)
            info["figures"] = figures_of(evaluation)
            info.pop("layers", None)
            if layers := layers_of(evaluation):
                info["layers"] = layers
        except PresetError as error:
            raise PresetError(
                f"{figures} holds no figures of an evaluation.",
                f"Make it with: hvae evaluate {source} --json > {figures}",
            ) from error
    check_push(info, target, force=force)
    config = found.config
    if said["summary"]:
        config = config.model_copy(update={"summary": said["summary"]})
    pictures = list(found.pictures)
    if not pictures:
        run = Path(source) if is_run_folder(source) else None
        drawn = draw_card(load(source), folder, run)
        pictures = list(drawn)
        info["pictures"] = {path.name: caption for path, caption in drawn.items()}
    return dataclasses.replace(found, config=config, info=info, pictures=pictures)


@contextmanager
def _progress() -> Iterator[PullProgress]:
    """A bar on stderr for each file."""
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    console = progress_console()
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bars:
        tasks: dict[str, Any] = {}

        def progress(file: str, done: int, total: int | None) -> None:
            if file not in tasks:
                tasks[file] = bars.add_task(file)
            bars.update(tasks[file], completed=done, total=total)

        yield progress
