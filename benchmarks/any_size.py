"""A model trained on crops of a photograph and used on the whole of it, in tiles and at once.

    python benchmarks/any_size.py --work runs/coins --output docs/images

trains on 32x32 crops of the left two thirds of scikit-image's `coins`, 303x384 (four minutes of
one core), measures crops of the right third and that third as a whole, reconstructs, samples and
exports at the photograph's size, and writes the picture `coins.png`: the photograph, the mean of
the pixels given its latents, a reconstruction with drawn pixels, and a sample. Then it measures
memory: an image in tiles beside the same image at once, each in a process of its own.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from small_models import TRAIN, small_model, trained

import hvae

SIDE, TRAINED_COLUMNS = 32, 256
CONFIG = {
    "model": small_model(SIDE, 1, [24, 32, 48, 48], [2, 4, 6, 8]),
    "likelihood": {"name": "logistic-mixture", "mixtures": 4},
    "data": {"name": "python", "values": {"dtype": "uint8"}},
    "train": {**TRAIN, "batch_size": 8, "beta_warmup": 300},
}


def crops(image: np.ndarray, count: int, seed: int) -> np.ndarray:
    """So many squares [count, SIDE, SIDE, C] of an image [H, W, C]."""
    rng = np.random.default_rng(seed)
    rows = rng.integers(0, image.shape[0] - SIDE + 1, count)
    columns = rng.integers(0, image.shape[1] - SIDE + 1, count)
    return np.stack([image[r : r + SIDE, c : c + SIDE] for r, c in zip(rows, columns, strict=True)])


def photograph(folder: Path, run: Path, steps: int) -> None:
    """Train, measure, and show what the whole photograph gives."""
    from PIL import Image
    from skimage import data

    coins = data.coins()[..., None]
    config = {**CONFIG, "train": {**CONFIG["train"], "steps": steps}}
    with tempfile.TemporaryDirectory() as work:
        start = time.process_time()
        model = trained(config, run, crops(coins[:, :TRAINED_COLUMNS], 4000, 0))
        minutes = (time.process_time() - start) / 60
        print(f"trained: {steps} updates, {minutes:.1f} CPU minutes", flush=True)
        unseen = coins[:296, TRAINED_COLUMNS:]
        at_once = model.at_size(296, 128).elbo(unseen[None])
        in_crops = model.elbo(crops(unseen, 32, 1))
        print(f"the unseen third, bits/dim: {at_once.bits_per_dim[0]:.2f}; "
              f"its crops {in_crops.bits_per_dim.mean():.2f}")  # fmt: skip

        tiles = model.reconstruct(coins[None], tile=144, overlap=96)[0]
        padded = np.pad(coins, ((0, 1), (0, 0), (0, 0)), mode="symmetric")
        large = model.at_size(304, 384)
        once = large.reconstruct(padded[None])[0, : len(coins)]
        print(f"pixels that differ between tiles and the whole: {(tiles != once).mean():.1e}")
        means = large.decode(large.encode(padded[None]), pixels="mean")[0, : len(coins)]
        drawn = large.sample(1, temperature=0.9)[0, : len(coins)]
        row = np.concatenate([coins, means, once, drawn], axis=1)[..., 0]
        Image.fromarray(np.rint(row).astype(np.uint8)).save(folder / "coins.png")

        saved = hvae.load(large.save(Path(work) / "coins-304x384"))
        same = (saved.sample(1, 0.9)[0, : len(coins)] == drawn).all()
        print(f"saved and loaded, the sample is {'the same' if same else 'ANOTHER'}")
        for form in ("onnx", "openvino"):
            report = large.export(Path(work) / form, format=form)
            exported = hvae.load_exported(Path(work) / form)
            ours, theirs = (m.elbo(padded[None]).bits_per_dim[0] for m in (exported, large))
            print(f"{form}: {ours:.5f} bits/dim, the model {theirs:.5f}; "
                  f"{report['bytes'] / 2**20:.1f} MiB")  # fmt: skip


def measure(side: int, tile: int) -> None:
    """Reconstruct a square image; print seconds and MiB over what the model itself takes."""
    model = hvae.build(CONFIG)
    image = np.random.default_rng(0).integers(0, 256, (1, side, side, 1), dtype=np.uint8)
    model.reconstruct(image[:, :SIDE, :SIDE])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    if tile:
        model.reconstruct(image, tile=tile)
    else:
        model.at_size(side, side).reconstruct(image)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps({"seconds": time.perf_counter() - start, "MiB": (peak - before) / 1024}))


def memory(sides: list[int], tile: int) -> None:
    """The table of memory."""
    print(f"| image | at once, MiB | in tiles of {tile}, MiB | at once, s | in tiles, s |")
    print("|-|-|-|-|-|")
    for side in sides:
        results = []
        for each in (0, tile):
            command = [sys.executable, __file__, "--measure", str(side), str(each)]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            results.append(json.loads(done.stdout.splitlines()[-1]))
        once, tiled = results
        print(f"| {side}x{side} | {once['MiB']:.0f} | {tiled['MiB']:.0f} "
              f"| {once['seconds']:.0f} | {tiled['seconds']:.0f} |")  # fmt: skip


def main() -> None:
    """Both parts."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path(), help="folder of the picture")
    parser.add_argument("--work", type=Path, default=Path("runs/coins"), help="folder of the run")
    parser.add_argument("--steps", type=int, default=1200, help="updates")
    parser.add_argument("--sides", type=int, nargs="*", default=[384, 768, 1536])
    parser.add_argument("--tile", type=int, default=192)
    parser.add_argument("--measure", type=int, nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        measure(*arguments.measure)
        return
    photograph(arguments.output, arguments.work, arguments.steps)
    memory(arguments.sides, arguments.tile)


if __name__ == "__main__":
    main()
