"""Write the model cards of the trained presets in zoo/: ``python docs/make_cards.py``."""

from __future__ import annotations

from pathlib import Path

from hvae_core.zoo import read_preset
from hvae_core.zoo.cards import model_card
from hvae_core.zoo.preset import CARD_FILE, PRESET_FILE

ZOO = Path(__file__).resolve().parents[1] / "zoo"


def main() -> None:
    """Write them."""
    for path in sorted(ZOO.glob(f"*/{PRESET_FILE}")):
        preset = read_preset(path.parent)
        if preset.weights_path is not None:
            (path.parent / CARD_FILE).write_text(model_card(preset), encoding="utf-8")


if __name__ == "__main__":
    main()
