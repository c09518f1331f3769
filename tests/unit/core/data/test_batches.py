import itertools
import threading

import numpy as np
import pytest

from hvae_core.data import (
    ArraySource,
    Batches,
    Conditions,
    evaluation_batches,
    prefetch,
    split_validation,
)
from hvae_core.errors import DataError
from hvae_core.interfaces import ConditionValues, Dataset, DatasetInfo


class Numbered(Dataset):
    """Image i has the value i everywhere; the transform adds a random 0 or 100."""

    info = DatasetInfo("Numbers", "computed", "1", "CC0-1.0")
    splits = ("train",)
    shape = (2, 2, 1)

    def __init__(self, count=10):
        self.count = count

    def load(self, split):
        values = np.arange(self.count, dtype=np.uint8)
        return ArraySource(np.broadcast_to(values[:, None, None, None], (self.count, 2, 2, 1)))


class Noisy(Numbered):
    def transform(self, images, rng, training):
        return images + rng.integers(0, 2, images.shape, dtype=np.uint8) * 100


def make(count=10, dataset=None, **options):
    dataset = dataset or Numbered(count)
    return Batches(dataset.load("train"), dataset, **{"batch_size": 4, "seed": 3} | options)


def values(batch):
    return batch.images[:, 0, 0, 0].tolist()


def test_a_training_batch_depends_on_seed_and_step_alone():
    forward, backward = make(training=True), make(training=True)
    steps = list(range(7))
    expected = {step: forward.batch(step).images for step in steps}
    for step in reversed(steps):
        np.testing.assert_array_equal(backward.batch(step).images, expected[step])
    other = make(training=True, seed=4)
    assert any((other.batch(step).images != expected[step]).any() for step in steps)


def test_an_epoch_of_training_has_no_image_twice_and_drops_the_partial_batch():
    batches = make(training=True)
    assert batches.steps_per_epoch == 2
    epochs = [values(batches.batch(2 * e)) + values(batches.batch(2 * e + 1)) for e in range(40)]
    assert all(len(set(epoch)) == 8 for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) > 30
    # Which images are dropped changes, so that all are seen.
    assert set(itertools.chain(*epochs)) == set(range(10))


def test_only_the_chosen_images_come():
    batches = make(training=True, indices=np.array([1, 3, 5, 7, 9]))
    assert set(itertools.chain(*(values(batches.batch(s)) for s in range(20)))) == {1, 3, 5, 7, 9}


def test_without_training_the_images_come_in_order_with_the_partial_batch():
    batches = make()
    assert batches.steps_per_epoch == 3
    assert [values(batches.batch(step)) for step in range(3)] == [
        [0, 1, 2, 3],
        [4, 5, 6, 7],
        [8, 9],
    ]


def test_augmentation_differs_between_steps_and_repeats_with_the_seed():
    dataset = Noisy(4)
    batches = make(dataset=dataset, training=True)
    again = make(dataset=dataset, training=True).batch(1)
    np.testing.assert_array_equal(batches.batch(1).images, again.images)
    drawn = {batches.batch(step).images.tobytes() for step in range(6)}
    assert len(drawn) == 6


def test_views_come_after_the_transform_and_in_training_only():
    def views(images, rng):
        return np.concatenate([images, images + rng.integers(100, 101, dtype=np.uint8)])

    training = make(training=True, views=views).batch(0).images
    assert training.shape == (8, 2, 2, 1)
    np.testing.assert_array_equal(training[4:], training[:4] + 100)
    assert make(views=views).batch(0).images.shape == (4, 2, 2, 1)


@pytest.mark.parametrize("batch_size", [1, 3, 10, 64])
def test_evaluation_draws_do_not_depend_on_the_batch_size(batch_size):
    dataset = Noisy(10)
    source = dataset.load("train")

    def evaluated(size, seed):
        batches = evaluation_batches(source, dataset, size, seed=seed)
        return np.concatenate([batch.images for batch in batches])

    one, other = evaluated(4, 5), evaluated(batch_size, 5)
    assert len(one) == 10
    np.testing.assert_array_equal(one, other)
    assert (evaluated(batch_size, 6) != one).any()


def test_evaluation_limit():
    dataset = Numbered()
    batches = list(evaluation_batches(dataset.load("train"), dataset, 4, limit=6))
    assert [values(batch) for batch in batches] == [[0, 1, 2, 3], [4, 5]]


def test_a_batch_larger_than_the_training_images_is_refused():
    with pytest.raises(DataError, match=r"train.batch_size is 64 but there are only 10"):
        make(training=True, batch_size=64)
    with pytest.raises(DataError, match="no images"):
        make(indices=np.array([], int))


def test_split_validation():
    train, validation = split_validation(1000, 0.1, seed=0)
    assert (len(train), len(validation)) == (900, 100)
    assert sorted([*train, *validation]) == list(range(1000))
    assert (np.diff(validation) > 0).all()
    np.testing.assert_array_equal(validation, split_validation(1000, 0.1, seed=0)[1])
    assert (validation != split_validation(1000, 0.1, seed=1)[1]).any()
    assert len(split_validation(10, 0.0, seed=0)[1]) == 0
    assert len(split_validation(10, 0.001, seed=0)[1]) == 1
    with pytest.raises(DataError, match="too few"):
        split_validation(1, 0.5, seed=0)


def test_prefetch_gives_the_same_batches_from_any_step():
    batches = make(training=True)
    got = list(prefetch(batches, 3, 9))
    assert [step for step, _ in got] == [3, 4, 5, 6, 7, 8]
    for step, batch in got:
        np.testing.assert_array_equal(batch.images, make(training=True).batch(step).images)


def test_prefetch_without_end_stops_when_closed():
    running = prefetch(make(training=True))
    assert next(running)[0] == 0
    assert any(thread.name == "hvae-prefetch" for thread in threading.enumerate())
    running.close()
    assert not any(thread.name == "hvae-prefetch" for thread in threading.enumerate())


def test_prefetch_passes_an_exception_on():
    class Broken(Numbered):
        def transform(self, images, rng, training):
            raise DataError("bad image")

    with pytest.raises(DataError, match="bad image"):
        next(prefetch(make(dataset=Broken(), training=True)))


def test_array_source_gives_copies_and_checks_its_array():
    images = np.zeros((3, 2, 2, 1), np.uint8)
    ArraySource(images).batch(np.array([0]))[:] = 9
    assert images.max() == 0
    with pytest.raises(ValueError, match="uint8"):
        ArraySource(images.astype(np.float64))


LABELS = ConditionValues("class", 4, dropout=0.5)


def test_a_condition_goes_with_its_image_and_its_views():
    column = np.arange(10, dtype=np.int32) % 4
    plain = make(conditions=Conditions(LABELS, column)).batch(0)
    np.testing.assert_array_equal(plain.condition, plain.images[:, 0, 0, 0] % 4)
    assert plain.inputs is None
    batches = make(
        training=True,
        conditions=Conditions(LABELS, column),
        views=lambda images, rng: np.concatenate([images, images]),
    )
    dropped = 0
    for step in range(50):
        batch = batches.batch(step)
        np.testing.assert_array_equal(batch.condition[:4], batch.condition[4:])
        is_null = batch.condition == 4
        own = batch.images[:, 0, 0, 0] % 4
        np.testing.assert_array_equal(batch.condition[~is_null], own[~is_null])
        dropped += is_null[:4].sum()
        np.testing.assert_array_equal(batch.condition, batches.batch(step).condition)
    assert 60 < dropped < 140
    # The images are those of a run without a condition.
    np.testing.assert_array_equal(batches.batch(3).images[:4], make(training=True).batch(3).images)


@pytest.mark.parametrize("training", [False, True])
def test_what_the_encoder_sees_is_drawn_from_the_seed(training):
    def observe(images, rng):
        noise = rng.normal(size=(*images.shape[:3], 1))
        return np.concatenate([images, noise], axis=-1)

    batch = make(training=training, observe=observe).batch(1)
    assert batch.inputs.shape == (4, 2, 2, 2)
    assert batch.inputs.dtype == np.float32
    np.testing.assert_array_equal(batch.inputs[..., :1], batch.images)
    np.testing.assert_array_equal(
        batch.inputs, make(training=training, observe=observe).batch(1).inputs
    )
    if not training:
        by_three = make(observe=observe, batch_size=3)
        whole = np.concatenate([by_three.batch(step).inputs for step in range(4)])
        np.testing.assert_array_equal(whole[4:8], batch.inputs)


class Scaled(Numbered):
    """Declares uint8, as nothing is said, and gives numbers from 0 to 1."""

    def transform(self, images, rng, training):
        return (images / 255).astype(np.float32)


class Cropped(Numbered):
    def transform(self, images, rng, training):
        return images[:, :1]


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(
    ("dataset", "sentence"),
    [
        (Scaled, r"gives images of float32 \[2, 2, 1\]; it declares uint8 \[2, 2, 1\]"),
        (Cropped, r"gives images of uint8 \[1, 2, 1\]; it declares uint8 \[2, 2, 1\]"),
    ],
)
def test_images_that_are_not_what_is_declared_are_refused(dataset, sentence, training):
    with pytest.raises(DataError, match=sentence):
        make(dataset=dataset(), training=training).batch(0)


@pytest.mark.parametrize("fault", ["type", "shape", "mask"])
def test_a_measurement_that_is_no_image_and_mask_is_refused(fault):
    from hvae_core.data.measuring import measured
    from hvae_core.data.observing import Observation

    class Wrong:
        def measure(self, image, rng):
            y = {"type": image * 0.5, "shape": image[:1]}.get(fault, image)
            mask = np.ones((2, 2), np.uint8 if fault == "mask" else bool)
            return y, mask

    images = np.zeros((3, 2, 2, 1), np.uint8)
    with pytest.raises(DataError, match=r"measurement Wrong gives .* expected uint8 \[2, 2, 1\]"):
        measured(Wrong(), images, range(3), 0)
    with pytest.raises(DataError, match="measurement Wrong gives"):
        Observation(Wrong(), 2)(images, np.random.default_rng(0))
