"""The curves of a run, drawn from its records with matplotlib where it is installed."""

from __future__ import annotations

import importlib.util
import io
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from hvae_core.report.collect import Record, RunFacts
from hvae_core.report.picture import Picture
from hvae_core.runs.metrics import in_unit, unit_key

#: records drawn at most; more would not be seen
_LIMIT = 1500
#: fewer epochs than this make no curve
_FEW = 5
_WIDTH, _ROW = 5.8, 3.1
BLUE, ORANGE, GREEN, RED, GREY = "#1f6fb4", "#d9822b", "#2f9e6e", "#c23b3b", "#8a8f98"


def plots_are_possible() -> bool:
    """Whether matplotlib is installed; it is not imported."""
    return importlib.util.find_spec("matplotlib") is not None


def draw_curves(facts: RunFacts) -> list[Picture]:
    """The curves of a run; none before its first record. Needs matplotlib."""
    if not facts.trained:
        return []
    draws = (draw_loss, draw_validation, draw_posterior_kl, draw_optimisation, draw_layers)
    drawn = [draw(facts) for draw in draws]
    return [picture for picture in drawn if picture is not None]


def draw_loss(facts: RunFacts) -> Picture:
    """Loss, rate and distortion of the logged updates."""
    figure, (axes,) = _axes()
    shown: list[list[float]] = []
    for key, colour in (("loss", BLUE), ("distortion", ORANGE), ("rate", GREEN)):
        steps, values = series(facts.trained, key)
        if values:
            axes.plot(steps, values, color=colour, label=key, linewidth=1.4)
        shown.append(values)
    axes.set_ylabel("nats per dimension")
    axes.set_ylim(*focus(*shown))
    axes.legend(frameon=False)
    _mark_sessions(facts, [axes])
    means = "Means over the updates since the line before: "
    if facts.config.train.objective == "partial-posterior":
        caption = f"{means}KL of the second encoder's posteriors from the trained ones."
        return Picture("loss", "Loss", caption, [("", _png(figure))])
    caption = (
        f"{means}loss = distortion + beta x rate, unless the rate is balanced or has free bits."
    )
    return Picture("loss", "Loss, rate and distortion", caption, [("", _png(figure))])


def draw_validation(facts: RunFacts) -> Picture | None:
    """The validation's negative ELBO and the training's; None where there was none."""
    key = unit_key(facts.unit)
    records = [r for r in facts.validated if r["validation"].get(key) is not None]
    if not records:
        return None
    figure, (axes,) = _axes()
    steps = [record["step"] for record in records]
    values = np.asarray([record["validation"][key] for record in records])
    dimensions = math.prod(facts.config.model.image_shape)
    errors = np.asarray(
        [
            in_unit(
                (r["validation"].get("elbo_standard_error") or 0.0) / dimensions,
                facts.unit,
                dimensions,
            )
            for r in records
        ]
    )
    bounds = _plot_training(axes, facts, key)
    axes.plot(steps, values, color=BLUE, marker=".", label="validation, averaged weights")
    axes.fill_between(steps, values - errors, values + errors, color=BLUE, alpha=0.15, linewidth=0)
    # Of another objective the best checkpoint is not that with the best bound.
    if facts.config.train.objective == "evidence":
        _mark_lowest(axes, steps, values.tolist())
    axes.set_ylabel(f"negative ELBO in {facts.unit}")
    axes.set_ylim(*focus(values.tolist(), bounds))
    axes.legend(frameon=False)
    _mark_sessions(facts, [axes])
    caption = (
        f"{records[-1]['validation'].get('images', '?')} held-out images, one draw of the latents "
        "an image; the band is one standard error."
    )
    return Picture("validation", "Validation", caption, [("", _png(figure))])


def draw_posterior_kl(facts: RunFacts) -> Picture | None:
    """What ``train.objective: partial-posterior`` makes small; None with another objective."""
    key = "posterior_kl"
    steps, values = series([{**r["validation"], "step": r["step"]} for r in facts.validated], key)
    if not values:
        return None
    figure, (axes,) = _axes()
    # The training's is per dimension, the validation's of the whole image.
    means = _plot_training(axes, facts, key, math.prod(facts.config.model.image_shape))
    axes.plot(steps, values, color=BLUE, marker=".", label="validation, averaged weights")
    _mark_lowest(axes, steps, values)
    axes.set_ylabel("KL in nats")
    axes.set_ylim(*focus(values, means))
    axes.legend(frameon=False)
    _mark_sessions(facts, [axes])
    caption = (
        "KL of the second encoder's posteriors from the trained ones, of held-out images; the best "
        "checkpoint is where it is lowest."
    )
    return Picture(key, "Partial posterior", caption, [("", _png(figure))])


def draw_optimisation(facts: RunFacts) -> Picture:
    """Gradient norm with the skips marked, learning rate, beta and speed."""
    records = facts.trained
    figure, rows = _axes(rows=4, row=1.35)
    norm, rate, beta, speed = rows
    steps, values = series(records, "gradient_norm")
    norm.plot(steps, values, color=BLUE, linewidth=1.2)
    if any(value > 0 for value in values):
        norm.set_yscale("log")
    skipped = [r["step"] for r in records if r.get("skipped")]
    if skipped:
        bottom = norm.get_ylim()[0]
        norm.plot(skipped, [bottom] * len(skipped), "^", color=RED, clip_on=False, markersize=5)
        count = sum(r.get("skipped", 0) for r in records)
        norm.set_title(f"{count} updates skipped (marks)", loc="right", color=RED, fontsize=8)
    norm.set_ylabel("gradient norm")
    for axes, key, label in (
        (rate, "learning_rate", "learning rate"),
        (beta, "beta", "beta"),
        (speed, "images_per_second", "images / s"),
    ):
        axes.plot(*series(records, key), color=BLUE, linewidth=1.2)
        axes.set_ylim(bottom=0.0)
        axes.set_ylabel(label)
    figure.align_ylabels(rows)
    _mark_sessions(facts, rows)
    caption = "The norm is measured before clipping, in nats per dimension."
    return Picture("optimisation", "Optimisation", caption, [("", _png(figure))])


def draw_layers(facts: RunFacts) -> Picture | None:
    """KL of each layer over the updates, as a heat map; None where it was not recorded."""
    import matplotlib
    from matplotlib.colors import LogNorm

    records = thin([r for r in facts.trained if r.get("kl_per_layer")])
    if not records:
        return None
    values = np.asarray([r["kl_per_layer"] for r in records], dtype=np.float64).T
    layers, height = len(values), max(_ROW, min(9.0, 0.9 + 0.2 * len(values)))
    figure, (axes,) = _axes(row=height)
    top = max(values.max(), 1e-3)
    # an edge before the first record, so that each column ends at its update
    edges = [0, *(r["step"] for r in records)]
    mesh = axes.pcolormesh(
        edges, np.arange(layers + 1) - 0.5, np.clip(values, top * 1e-4, None),
        norm=LogNorm(top * 1e-4, top), cmap=matplotlib.colormaps["viridis"], rasterized=True,
    )  # fmt: skip
    axes.grid(False)
    axes.invert_yaxis()
    shapes = facts.config.model.latent_shapes
    first = [i for i, shape in enumerate(shapes) if not i or shape[0] != shapes[i - 1][0]]
    axes.set_yticks(first, [f"{i}: {shapes[i][0]}x{shapes[i][1]}" for i in first])
    for line in first[1:]:
        axes.axhline(line - 0.5, color="white", linewidth=0.8)
    axes.set_ylabel("latent layer")
    figure.colorbar(mesh, ax=axes, label="KL in nats", pad=0.01)
    caption = "Coarsest layer above; a tick is the first layer of its scale."
    return Picture("kl_per_layer", "KL of each layer", caption, [("", _png(figure))])


def _plot_training(axes: Any, facts: RunFacts, key: str, scale: float = 1.0) -> list[float]:
    """Draw a figure of the training batches, finer than epochs where these are few; its values."""
    few = len(facts.epochs) < _FEW
    steps, values = series(facts.trained if few else facts.epochs, key)
    values = [scale * value for value in values]
    label = f"training, mean {'since the point before' if few else 'of the epoch'}"
    axes.plot(steps, values, color=GREY, linewidth=1.2, label=label)
    return values


def _axes(rows: int = 1, row: float = _ROW) -> tuple[Any, Sequence[Any]]:
    # The object interface: pyplot would choose a window system and keep the figures.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(_WIDTH, row * rows), layout="constrained")
    FigureCanvasAgg(figure)
    many = list(figure.subplots(rows, 1, sharex=True, squeeze=False)[:, 0])
    for axes in many:
        axes.grid(color="#e4e7ec", linewidth=0.8)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
        axes.spines[["left", "bottom"]].set_color("#b6bcc6")
        axes.tick_params(labelsize=8, color="#b6bcc6")
    many[-1].set_xlabel("updates")
    return figure, many


def _mark_lowest(axes: Any, steps: Sequence[int], values: Sequence[float]) -> None:
    best = int(np.argmin(values))
    axes.plot(steps[best], values[best], "o", color=RED, label=f"lowest: {values[best]:.4f}")


def _mark_sessions(facts: RunFacts, rows: Sequence[Any]) -> None:
    """A dotted line where a resumed run went on."""
    for session in facts.sessions[1:]:
        for axes in rows:
            axes.axvline(session.get("step", 0), color=GREY, linestyle=":", linewidth=1.0)


def _png(figure: Any) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=160, metadata={"Software": None})
    return buffer.getvalue()


def thin(records: Sequence[Record], limit: int = _LIMIT) -> list[Record]:
    """At most about ``limit`` of the records, evenly; the last is among them."""
    stride = max(1, math.ceil(len(records) / limit))
    return list(records[::-1][::stride][::-1])


def series(records: Sequence[Record], key: str) -> tuple[list[int], list[float]]:
    """The steps and values of the records that have a finite ``key``."""
    chosen = thin(
        [r for r in records if isinstance(r.get(key), int | float) and math.isfinite(r[key])]
    )
    return [record["step"] for record in chosen], [record[key] for record in chosen]


def focus(*curves: Sequence[float]) -> tuple[float, float] | tuple[None, None]:
    """Limits that show most of the curves: the first tenth of one may be far above its rest."""
    values = [value for curve in curves for value in curve]
    if len(values) < 2:
        return (None, None)
    later = [value for curve in curves for value in curve[len(curve) // 10 :]]
    low, high = float(np.min(values)), float(np.quantile(later, 0.98))
    margin = 0.05 * (high - low) or 0.5
    return (low - margin, high + margin)
