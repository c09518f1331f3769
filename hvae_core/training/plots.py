"""The curves of a run, drawn from ``metrics.jsonl`` with matplotlib where it is installed."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hvae_core.training.metrics import MetricsFile

Records = Sequence[dict[str, Any]]


def plots_are_possible() -> bool:
    """Whether matplotlib is installed; it is not imported."""
    return importlib.util.find_spec("matplotlib") is not None


def plot_run(metrics: Path, folder: Path) -> list[Path]:
    """Draw ``loss.png`` and ``kl_per_layer.png``.

    Args:
        metrics: a run's ``metrics.jsonl``.
        folder: where the pictures go.

    Returns:
        The files written; none where there are no records yet.
    """
    records = MetricsFile(metrics).read()
    steps = [record for record in records if record.get("event") == "step"]
    epochs = [record for record in records if record.get("event") == "epoch"]
    trained = steps or epochs
    if not trained:
        return []
    folder.mkdir(parents=True, exist_ok=True)
    return [
        _plot_loss(trained, epochs, folder / "loss.png"),
        _plot_layers(trained, folder / "kl_per_layer.png"),
    ]


def _plot_loss(trained: Records, epochs: Records, path: Path) -> Path:
    figure, axes = _axes()
    for key in ("loss", "distortion", "rate"):
        axes.plot(*_series(trained, key), label=key)
    held_out = [
        {"step": e["step"], "value": e["validation"]["bits_per_dim"] * math.log(2.0)}
        for e in epochs
        if (e.get("validation") or {}).get("bits_per_dim") is not None
    ]
    if held_out:
        axes.plot(*_series(held_out, "value"), "k.-", label="negative ELBO, validation (EMA)")
    axes.set_ylabel("nats per dimension")
    axes.legend()
    figure.savefig(path, format="png", dpi=120)
    return path


def _plot_layers(trained: Records, path: Path) -> Path:
    import numpy as np

    figure, axes = _axes()
    chosen = [record for record in trained if record.get("kl_per_layer")]
    if chosen:
        values = np.asarray([record["kl_per_layer"] for record in chosen], dtype=np.float64)
        steps = [record["step"] for record in chosen]
        colours = np.linspace(0.0, 0.9, values.shape[1])
        import matplotlib

        colour_map = matplotlib.colormaps["viridis"]
        for layer in range(values.shape[1]):
            label = f"layer {layer}" if layer in (0, values.shape[1] - 1) else None
            axes.plot(steps, values[:, layer], color=colour_map(colours[layer]), label=label)
        axes.legend(title="coarsest to finest")
    axes.set_ylabel("KL in nats")
    figure.savefig(path, format="png", dpi=120)
    return path


def _axes() -> tuple[Any, Any]:
    # The object interface: pyplot would choose a window system and keep the figures.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.0, 4.0), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.set_xlabel("updates")
    axes.grid(alpha=0.3)
    return figure, axes


def _series(records: Records, key: str) -> tuple[list[int], list[float]]:
    chosen = [record for record in records if record.get(key) is not None]
    return [record["step"] for record in chosen], [record[key] for record in chosen]
