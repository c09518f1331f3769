"""Draw docs/images and write docs/gallery.md: samples and reconstructions of each preset.

``python docs/make_gallery.py [PRESET]... [--root DATASET=DIR]...`` draws those presets (else all
that have weights here) and writes the page of all whose pictures are there. Reconstructions are of
the data set's first test images, and left out where its files cannot be had.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

FOLDER = Path(__file__).resolve().parent
IMAGES = FOLDER / "images"
PAGE = FOLDER / "gallery.md"
#: images of a completion, and the draws of each that are shown and that the mean is of
COMPLETED, SHOWN, DRAWN = 6, 6, 64
HEAD = """# Gallery

Made by `python docs/make_gallery.py`; all with seed 0, nothing chosen.
"""


def draw(name: str, roots: dict[str, str]) -> None:
    """Draw the pictures of one preset."""
    from hvae_core.api import load
    from hvae_core.errors import HvaeError
    from hvae_core.images.grids import save_grid
    from hvae_core.inference.counterfactual import likeliest
    from hvae_core.report.card_pictures import COLUMNS, reconstructions, samples

    model = load(name)
    save_grid(samples(model), IMAGES / f"{name}-samples.png", COLUMNS)
    try:
        originals = test_images(model.config, roots)
    except HvaeError as error:
        print(f"{name}: no reconstructions: {error}", file=sys.stderr)
        return
    if model.measurement is not None:
        rows = completion(model, originals[:COMPLETED])
        save_grid(
            rows.reshape(-1, *originals.shape[1:]), IMAGES / f"{name}-completion.png",
            rows.shape[1],
        )  # fmt: skip
        return
    own = None if model.condition_values is None else likeliest(model, originals)
    rows = reconstructions(model, originals, own)
    save_grid(rows, IMAGES / f"{name}-reconstructions.png", COLUMNS)


def completion(model: object, truth: np.ndarray) -> np.ndarray:
    """Rows of pictures [B, k, H, W, C]: measured, draws, mean, standard deviation, truth."""
    from hvae_core.cli.complete import pictures
    from hvae_core.data.measuring import measured
    from hvae_core.inference import PosteriorDraws

    values = model.image_values  # type: ignore[attr-defined]
    y, mask = measured(model.measurement, truth, range(len(truth)), seed=0)  # type: ignore[attr-defined]
    drawn = model.posterior_sample(y, mask, DRAWN, seed=0)  # type: ignore[attr-defined]
    first, *of_all = pictures(y, drawn, truth, values)
    shown = pictures(y, PosteriorDraws(drawn.images[:SHOWN]), truth, values)[1]
    return np.concatenate([first, shown, *of_all[1:]], axis=1)


def test_images(config: object, roots: dict[str, str]) -> np.ndarray:
    """The first test images of the configuration's data set."""
    from hvae_core.cli.images import chosen_dataset, dataset_images
    from hvae_core.report.card_pictures import COLUMNS

    data = config.data.name  # type: ignore[attr-defined]
    overrides = [f"data.root={roots[data]}"] if data in roots else []
    return dataset_images(chosen_dataset(config, None, overrides), "test", range(COLUMNS))


def page() -> str:
    """The page, from the pictures and the presets that are there."""
    from hvae_core.report.card_pictures import TEMPERATURES, kept
    from hvae_core.zoo import find_preset, list_presets
    from hvae_core.zoo.cards import figures_table

    sections = [HEAD]
    for name in list_presets():
        preset = find_preset(name)
        if not (IMAGES / f"{name}-samples.png").is_file():
            continue
        sections.append(f"## {name}\n\n{preset.summary}\n\n{figures_table(preset)}\n")
        sections.append(
            f"![samples of {name}](images/{name}-samples.png)\n\n"
            f"Samples, two rows at each of the temperatures {', '.join(map(str, TEMPERATURES))}.\n"
        )
        if (IMAGES / f"{name}-completion.png").is_file():
            sections.append(
                f"![completions of {name}](images/{name}-completion.png)\n\n"
                f"A row each: what was measured of a test image, {SHOWN} draws, mean and standard "
                f"deviation of {DRAWN}, the image.\n"
            )
        if (IMAGES / f"{name}-reconstructions.png").is_file():
            counts = kept(len(preset.config.model.latent_shapes))
            rows = ", ".join(map(str, counts))
            sections.append(
                f"![reconstructions of {name}](images/{name}-reconstructions.png)\n\n"
                f"Test images, and below them their reconstructions from the first {rows} of "
                f"{counts[0]} latents, the rest drawn from the prior.\n"
            )
    return "\n".join(sections)


def main() -> None:
    """Draw and write."""
    from hvae_core.zoo import find_preset, list_presets

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("presets", nargs="*")
    parser.add_argument("--root", action="append", default=[], metavar="DATASET=DIR")
    arguments = parser.parse_args()
    roots = dict(text.split("=", 1) for text in arguments.root)
    names = arguments.presets or [n for n in list_presets() if find_preset(n).weights_path]
    for name in names:
        draw(name, roots)
    PAGE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
