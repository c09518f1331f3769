"""How much a linear classifier reads from latents: MNIST's digits from few labels.

``python benchmarks/linear_probe.py --root DIR [--labels 1000]``, DIR holding MNIST's idx files.
scikit-learn's logistic regression, with its own options, is fitted to the first training images
and their labels, and measured on all test images. The images are binarized as the model's are,
drawn once; latents are the means of the posteriors (`model.encode(x, sample=False)`). Vectors are
taken as they are, and standardised: each number has mean 0 and variance 1 over the training images.
"""

import argparse
import gzip
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

import hvae
from hvae.config import create_component
from hvae.errors import DataError


def read_labels(path: Path) -> np.ndarray:
    """The labels of an idx1 file: uint8 [N].

    Raises:
        DataError: there is no such file, or it is none.
    """
    try:
        data = gzip.decompress(path.read_bytes())
    except (OSError, EOFError) as error:
        raise DataError(f"{path} cannot be read: {error}.") from None
    if data[:4] != bytes([0, 0, 8, 1]) or len(data) - 8 != int.from_bytes(data[4:8], "big"):
        raise DataError(f"{path} is no idx file of labels.")
    return np.frombuffer(data, np.uint8, offset=8)


def accuracy(train: np.ndarray, labels: np.ndarray, test: np.ndarray, truth: np.ndarray) -> float:
    """The share of test vectors [N, D] that a logistic regression of the others gets right."""
    classifier = LogisticRegression(max_iter=5000)
    return float(classifier.fit(train, labels).score(test, truth))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", required=True, help="the folder with MNIST's files")
    parser.add_argument("--preset", default="mnist-vdvae", help="a model of MNIST")
    parser.add_argument("--labels", type=int, default=1000, help="training images")
    parser.add_argument("--test-images", type=int, default=10_000)
    options = parser.parse_args()

    data = {"name": "mnist", "root": options.root, "near_exact": True}
    dataset = create_component("dataset", data).build()
    model = hvae.load(options.preset)
    images, labels = [], []
    for split, name, count in (
        ("train", "train", options.labels),
        ("test", "t10k", options.test_images),
    ):
        rng = np.random.default_rng(0)
        images.append(dataset.transform(dataset.load(split).batch(np.arange(count)), rng, False))
        path = Path(options.root) / f"{name}-labels-idx1-ubyte.gz"
        labels.append(read_labels(path)[:count])
    latents = [model.encode(x, sample=False, batch_size=100) for x in images]
    maps = [model.features(x, batch_size=100) for x in images]

    rows = [("pixels", [x.reshape(len(x), -1) / 255.0 for x in images])]
    depth = len(model.latent_shapes)
    for layers in sorted({depth // 3, depth // 2, depth}):
        means = [z.leading(layers).flat("posterior_mean") for z in latents]
        rows.append((f"means of the first {layers} of {depth} layers", means))
    for scale in (-1, -2):
        side = maps[0][scale].shape[1]
        vectors = [x[scale].reshape(len(x[scale]), -1) for x in maps]
        rows.append((f"the encoder's map at {side}x{side}", vectors))
    print(f"| from {options.labels} labels | numbers an image | as they are | standardised |")
    print("|-|-|-|-|")
    for name, (train, test) in rows:
        scaler = StandardScaler().fit(train)
        shares = [
            f"{100 * accuracy(one, labels[0], other, labels[1]):.1f} %"
            for one, other in ((train, test), (scaler.transform(train), scaler.transform(test)))
        ]
        print(f"| {name} | {train.shape[1]} | {' | '.join(shares)} |", flush=True)


if __name__ == "__main__":
    main()
