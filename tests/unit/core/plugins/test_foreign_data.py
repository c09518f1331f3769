"""A third party's data set and regularizer train, are recorded and resumed like ours."""

import dataclasses

import numpy as np
import pytest
from keras import ops

import hvae_core as hvae
from hvae_core.data import ArraySource
from hvae_core.interfaces import Dataset, DatasetInfo, Regularizer
from hvae_core.plugins import ComponentSpec, hookimpl, manager
from hvae_core.runs.metrics import MetricsFile

MODEL = {
    "resolutions": [4, 1],
    "image_channels": 1,
    "width": 4,
    "encoder_middle_width": 4,
    "decoder_middle_width": 4,
    "latent_width": 2,
    "encoder_blocks": 1,
    "decoder_blocks": 1,
    "readout": {"kind": "features"},
}
TRAIN = {
    "batch_size": 4, "steps": 3, "log_steps": 1, "sample_epochs": 0, "report": False,
    "tensorboard": False,
}  # fmt: skip


class Stripes(Dataset):
    info = DatasetInfo("stripes", "made here", "1", "CC0-1.0")
    splits = ("train", "test")
    shape = (4, 4, 1)

    def __init__(self, options):
        self.options = options

    def load(self, split):
        images = np.zeros((12, 4, 4, 1), np.uint8)
        images[:, :: self.options.period] = 255
        return ArraySource(images)


@dataclasses.dataclass(frozen=True)
class StripesOptions:
    period: int = 2


class SmallLatents(Regularizer):
    """The mean square of the coarsest latent, times a weight."""

    def __init__(self, options, dataset, levels):
        self.options, self.title = options, dataset.info.title

    def penalty(self, out, model):
        square = ops.square(out.layers[0].z)
        return self.options.weight * ops.mean(ops.reshape(square, (ops.shape(square)[0], -1)), -1)


@dataclasses.dataclass(frozen=True)
class SmallLatentsOptions:
    weight: float = 3.0


class Data:
    __name__ = "stripes"

    @hookimpl
    def hvae_component(self):
        return ComponentSpec(
            kind="dataset", name="stripes", summary="Stripes", builder=Stripes,
            config=StripesOptions,
        )  # fmt: skip


class Term:
    __name__ = "small_latents"

    @hookimpl
    def hvae_component(self):
        return ComponentSpec(
            kind="regularizer", name="small-latents", summary="Small latents",
            builder=SmallLatents, config=SmallLatentsOptions,
        )  # fmt: skip


@pytest.fixture
def config():
    for plugin in (Data(), Term()):
        manager().register(plugin)
    yield {
        "model": MODEL,
        "likelihood": {"name": "bernoulli"},
        "data": {"name": "stripes", "period": 4},
        "regularizer": {"name": "small-latents", "weight": 2.0},
        "train": TRAIN,
    }
    manager().unregister("dataset", "stripes")
    manager().unregister("regularizer", "small-latents")


def test_both_are_used_by_a_run_and_its_evaluation(config, tmp_path):
    run = tmp_path / "run"
    hvae.train(config, output=run)
    records = [r for r in MetricsFile(run / "metrics.jsonl").read() if r["event"] == "step"]
    assert len(records) == 3
    assert all(record["regularizer"] > 0 for record in records)
    hvae.train(config, output=run, resume=True, overrides=["train.steps=4"])
    assert hvae.evaluate(run)["dataset"] == "stripes"
