"""Whether a classifier reads in samples of MNIST the digit that was asked for.

    python benchmarks/label_reading.py --root DIR [--preset NAME] [--guidance 1 2 3] [--each 100]

DIR holds MNIST's idx files. A small convolutional network is trained on the 60,000 binarized
images with their labels, for three epochs, and reads the test images and, of each digit,
``--each`` samples of the conditional preset.
"""

from __future__ import annotations

import argparse

import keras
import numpy as np
from keras import layers

import hvae
from hvae.config import create_component


def classifier(images: np.ndarray, labels: np.ndarray, seed: int) -> keras.Model:
    """The network, trained.

    Args:
        images: uint8 [N, H, W, 1], 0 or 255.
        labels: integers [N].
        seed: of its weights and of the images' order.
    """
    keras.utils.set_random_seed(seed)
    network = keras.Sequential(
        [
            layers.Input(images.shape[1:]),
            layers.Rescaling(1 / 255),
            layers.Conv2D(16, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(32, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(64, activation="relu"),
            layers.Dense(10),
        ]
    )
    network.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    network.fit(images, labels, epochs=3, batch_size=128, verbose=0)
    return network


def read(network: keras.Model, images: np.ndarray) -> np.ndarray:
    """The digits [N] that the network takes images [N, H, W, 1] for."""
    return network.predict(images, batch_size=256, verbose=0).argmax(axis=-1)


def main() -> None:
    """Print the shares that are read right."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", required=True, help="the folder with MNIST's files")
    parser.add_argument("--preset", default="mnist-vdvae-label", help="a model of labelled MNIST")
    parser.add_argument("--guidance", type=float, nargs="+", default=[1.0, 2.0, 3.0])
    parser.add_argument("--each", type=int, default=100, help="samples of each digit")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()

    data = {"name": "mnist", "root": options.root, "near_exact": True, "padding": 2}
    dataset = create_component("dataset", data).build()
    images, labels = {}, {}
    for split in ("train", "test"):
        source = dataset.load(split)
        rng = np.random.default_rng(options.seed)
        images[split] = dataset.transform(source.batch(np.arange(len(source))), rng, False)
        labels[split] = np.asarray(dataset.condition("label", split).values)
    network = classifier(images["train"], labels["train"], options.seed)
    right = np.mean(read(network, images["test"]) == labels["test"])
    print(f"the network reads {100 * right:.1f} % of the test images right\n")

    model = hvae.load(options.preset)
    asked = np.repeat(np.arange(10), options.each)
    print(f"| guidance | {len(asked):,} samples read as asked | the digit least often |\n|-|-|-|")
    for guidance in options.guidance:
        samples = model.sample(
            len(asked), seed=options.seed, condition=asked.tolist(), guidance=guidance
        )
        found = read(network, samples) == asked
        shares = found.reshape(10, -1).mean(axis=1)
        cell = f"{shares.argmin()}: {100 * shares.min():.0f} %"
        print(f"| {guidance:g} | {100 * found.mean():.1f} % | {cell} |", flush=True)


if __name__ == "__main__":
    main()
