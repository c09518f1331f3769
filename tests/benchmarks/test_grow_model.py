"""A model that is grown computes what it did."""

from pathlib import Path

import numpy as np
import pytest

import hvae

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
SMALL = {
    "resolutions": [8, 4, 1], "image_channels": 1, "width": 8, "encoder_middle_width": 4,
    "decoder_middle_width": 4, "latent_width": 2, "encoder_blocks": 1, "decoder_blocks": [2, 1, 1],
}  # fmt: skip
DEEPER, WIDER = {"decoder_blocks": [3, 3, 1]}, {"decoder_middle_width": 8}


def build(kind, **more):
    model = hvae.build(
        {
            "model": {**SMALL, "readout": {"kind": kind}, **more},
            "likelihood": {"name": "logistic-mixture", "mixtures": 2},
        }
    )
    rng = np.random.default_rng(len(more))
    for weight in model.trainable_variables:  # fresh ones are zero in places
        weight.assign(weight + rng.normal(0, 0.1, weight.shape).astype("f"))
    return model


@pytest.mark.parametrize(
    ("kind", "more"),
    [("features", DEEPER), ("features", WIDER), ("features", DEEPER | WIDER), ("latents", WIDER)],
    ids=["deeper", "wider", "both", "latents"],
)
def test_a_grown_model_computes_the_same(monkeypatch, kind, more):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    from grow_model import TOLERANCE, difference, grown_arrays, layers_of

    from hvae_core.weights import assign

    source, target = build(kind), build(kind, **more)
    before = difference(source, target)
    assign(target, grown_arrays(source, target), "the small model")
    assert difference(source, target) < TOLERANCE < before
    new = set(range(len(target.latent_shapes))) - set(layers_of(source, target))
    assert len(new) == len(target.latent_shapes) - len(source.latent_shapes)
    kl = target.elbo(np.full((2, *source.image_shape), 120, np.uint8)).kl_per_layer
    np.testing.assert_allclose(kl[:, sorted(new)], 0, atol=1e-5)


def test_what_reads_all_latents_is_not_deepened(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    from grow_model import grown_arrays

    with pytest.raises(SystemExit, match="reads all latents"):
        grown_arrays(build("latents"), build("latents", **DEEPER))
