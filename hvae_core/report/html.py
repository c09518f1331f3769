"""The report as one HTML page: pictures inside, nothing fetched, everything escaped."""

from __future__ import annotations

import base64
import string
import time
from collections.abc import Iterable, Sequence
from html import escape
from importlib import resources
from typing import Any

from hvae_core.config import dump_yaml
from hvae_core.files.versions import hvae_version
from hvae_core.report.collect import RunFacts
from hvae_core.report.picture import Picture
from hvae_core.runs.metrics import unit_key


def render(facts: RunFacts, pictures: Sequence[Picture], notes: Sequence[str] = ()) -> str:
    """The page.

    Args:
        facts: of the run.
        pictures: in the order they are to be shown.
        notes: what is missing and why.
    """
    charts = [picture for picture in pictures if not picture.columns]
    images = [picture for picture in pictures if picture.columns]
    body = [
        _figures(figures(facts)),
        *(f'<div class="card note">{escape(note)}</div>' for note in notes),
        f'<div class="wide">{"".join(_card(_picture(p)) for p in charts)}</div>',
        *(_card(_picture(picture)) for picture in images),
        _layers(facts),
        _sessions(facts),
        _card(
            "<details open><summary>Configuration</summary>"
            f"<pre>{escape(dump_yaml(facts.config))}</pre></details>"
        ),
    ]
    template = resources.files(__package__).joinpath("page.html").read_text(encoding="utf-8")
    return string.Template(template).substitute(
        name=escape(facts.path.resolve().name),
        status=escape(facts.status),
        summary=escape(facts.config.summary),
        body="\n".join(part for part in body if part),
        version=escape(hvae_version()),
        written=time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
    )


def figures(facts: RunFacts) -> list[tuple[str, str]]:
    """The key figures: what each is, and its value."""
    last, state, key = facts.last, facts.state, unit_key(facts.unit)
    total = facts.total_steps
    epochs = facts.config.train.epochs
    shown = [("updates", f"{facts.step:,}" + (f" of {total:,}" if total else ""))]
    if last.get("epoch"):
        shown.append(("epoch", f"{last['epoch']:,}" + (f" of {epochs:,}" if epochs else "")))
    if last.get("images"):
        shown.append(("images seen", f"{last['images']:,}"))
    validated = [r["validation"] for r in facts.validated if r["validation"].get(key) is not None]
    if validated:
        shown.append(
            (f"validation, lowest ({facts.unit})", f"{min(v[key] for v in validated):.4f}")
        )
        shown.append((f"validation, last ({facts.unit})", f"{validated[-1][key]:.4f}"))
    kls = [
        r["validation"]["posterior_kl"]
        for r in facts.validated
        if "posterior_kl" in r["validation"]
    ]
    if kls:
        shown.append(("posterior KL, lowest (nats)", f"{min(kls):.4f}"))
    if isinstance(last.get(key), int | float):
        shown.append((f"training, last ({facts.unit})", f"{last[key]:.4f}"))
    for name in ("rate", "distortion"):
        if isinstance(last.get(name), int | float):
            shown.append((f"{name} (nats/dim)", f"{last[name]:.4f}"))
    speeds = [r["images_per_second"] for r in facts.steps if r.get("images_per_second")]
    if speeds:
        shown.append(("images / s, median", f"{sorted(speeds)[len(speeds) // 2]:,.1f}"))
    if state.get("elapsed"):
        shown.append(("time", _duration(state["elapsed"])))
    if "skipped" in state:
        shown.append(("updates skipped", f"{state['skipped']:,}"))
        shown.append(("of them not finite", f"{state['nonfinite']:,}"))
    return shown


def _figures(shown: Sequence[tuple[str, str]]) -> str:
    cells = (
        f"<div><b>{escape(value)}</b><span>{escape(name)}</span></div>" for name, value in shown
    )
    return f'<div class="figures">{"".join(cells)}</div>'


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {seconds:02d} s"


def _card(content: str) -> str:
    return f'<section class="card">{content}</section>'


def _picture(picture: Picture) -> str:
    images = [
        (escape(label), f"data:image/png;base64,{base64.b64encode(png).decode()}")
        for label, png in picture.parts
    ]
    head = f"<h2>{escape(picture.title)}</h2>\n<figcaption>{escape(picture.caption)}</figcaption>"
    if not picture.columns:
        inner = "".join(f'<img src="{src}" alt="{escape(picture.title)}">' for _, src in images)
        return f"<figure>{head}{inner}</figure>"
    inner = "".join(
        f'<div>{label}<img src="{src}" alt="{escape(picture.title)}, {label}"></div>'
        for label, src in images
    )
    style = f"grid-template-columns: repeat({picture.columns}, 1fr)"
    return f'<figure>{head}<div class="parts" style="{style}">{inner}</div></figure>'


def _table(head: Sequence[str], rows: Iterable[Sequence[Any]], numbers: bool = False) -> str:
    mark = ' class="number"' if numbers else ""
    top = "".join(f"<th{mark}>{escape(cell)}</th>" for cell in head)
    lines = (
        "<tr>" + "".join(f"<td{mark}>{escape(str(cell))}</td>" for cell in row) + "</tr>"
        for row in rows
    )
    return f"<table><tr>{top}</tr>{''.join(lines)}</table>"


def _layers(facts: RunFacts) -> str:
    """KL and active units of each layer at the last validation."""
    if not facts.validated:
        return ""
    last = facts.validated[-1]["validation"]
    shapes = facts.config.model.latent_shapes
    columns = [last.get(key) or [] for key in ("kl_per_layer", "active_units", "units")]
    if any(len(column) != len(shapes) for column in columns):
        return ""
    rows = [
        (index, f"{shape[0]} x {shape[1]} x {shape[2]}", f"{kl:.3f}", f"{active:,} of {units:,}")
        for index, (shape, kl, active, units) in enumerate(zip(shapes, *columns, strict=True))
    ]
    table = _table(("layer", "shape", "KL (nats)", "active units"), rows, numbers=True)
    head = "<summary>Latent layers at the last validation</summary>"
    return _card(f"<details{' open' if len(rows) <= 12 else ''}>{head}{table}</details>")


def _sessions(facts: RunFacts) -> str:
    """Where and with which versions the run was started and resumed."""
    if not facts.sessions:
        return ""
    keys = ("started", "step", "device", "backend", "keras", "hvae", "python", "platform")
    head = ("started", "from update", *keys[2:])
    rows = [[session.get(key, "") for key in keys] for session in facts.sessions]
    return _card(f"<h2>Sessions and versions</h2>{_table(head, rows)}")
