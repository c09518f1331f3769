"""How much a linear classifier reads from latents: MNIST's digits from few labels.

``python benchmarks/linear_probe.py --root DIR [--labels 1000] [--draws 5]``, DIR holding MNIST's
idx files. Vectors are standardised: each number has mean 0 and variance 1 over the labelled images.
Two of scikit-learn's linear classifiers are fitted to so many labelled training images: a ridge
regression to the classes, its penalty chosen by leave-one-out on these images alone
(`RidgeClassifierCV`), and a logistic regression with its own options. They are measured on all test
images; the figures are means over disjoint sets of training images, the first of the data set, with
the least and the most of the ridge regression's. The images are binarized as the model's are, drawn
once; latents are the means of the posteriors (`model.encode(x, sample=False)`).
"""

import argparse
from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression, RidgeClassifierCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import hvae
from hvae.config import create_component

#: of the ridge regression, to choose among
PENALTIES = np.logspace(0, 5, 11)


def accuracies(
    classifier: Any, vectors: Sequence[np.ndarray], labels: Sequence[np.ndarray], count: int
) -> list[float]:
    """Percentages of test vectors got right, from each ``count`` of the training ones.

    Args:
        classifier: scikit-learn's.
        vectors: [N, D] of training and of test images.
        labels: [N] of both.
        count: of labelled images.
    """
    (train, test), (known, truth) = vectors, labels
    found = []
    for start in range(0, len(train) - count + 1, count):
        chosen = slice(start, start + count)
        probe = make_pipeline(StandardScaler(), classifier)
        found.append(100 * float(probe.fit(train[chosen], known[chosen]).score(test, truth)))
    return found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", required=True, help="the folder with MNIST's files")
    parser.add_argument("--preset", default="mnist-vdvae", help="a model of MNIST")
    parser.add_argument("--labels", type=int, default=1000, help="labelled images")
    parser.add_argument("--draws", type=int, default=5, help="sets of labelled images")
    parser.add_argument("--test-images", type=int, default=10_000)
    options = parser.parse_args()

    data = {"name": "mnist", "root": options.root, "near_exact": True}
    dataset = create_component("dataset", data).build()
    model = hvae.load(options.preset)
    images, labels = [], []
    for split, count in (
        ("train", options.labels * options.draws),
        ("test", options.test_images),
    ):
        rng = np.random.default_rng(0)
        images.append(dataset.transform(dataset.load(split).batch(np.arange(count)), rng, False))
        labels.append(np.asarray(dataset.condition("label", split).values[:count]))
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
    print(f"| from {options.labels} labels | numbers an image | ridge | least to most | logistic |")
    print("|-|-|-|-|-|")
    for name, vectors in rows:
        ridge, logistic = (
            accuracies(classifier, vectors, labels, options.labels)
            for classifier in (RidgeClassifierCV(PENALTIES), LogisticRegression(max_iter=5000))
        )
        cells = [
            str(vectors[0].shape[1]),
            f"{np.mean(ridge):.1f} %",
            f"{min(ridge):.1f} to {max(ridge):.1f} %",
            f"{np.mean(logistic):.1f} %",
        ]
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
