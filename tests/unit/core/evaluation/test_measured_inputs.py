"""Which encoders are shown measurements of whole images, and what cannot be measured."""

import numpy as np
import pytest

from hvae_core.data.measuring import measured
from hvae_core.errors import BadInputError
from hvae_core.evaluation.measured_inputs import inputs_of
from hvae_core.evaluation.verbs import Verbs
from hvae_core.interfaces import UINT8, Measured, Measurement

IMAGES = np.random.default_rng(0).integers(0, 256, (3, 4, 6, 1)).astype(np.uint8)


class Pixels(Measurement):
    """Half of the pixels, others of each image."""

    fill = 7.0

    def measure(self, x, rng):
        mask = rng.random(x.shape[:2]) < 0.5
        return Measured(np.where(mask[..., None], x, np.uint8(7)), mask)


class Model(Verbs):
    """What is asked of a model."""

    image_shape, image_values, condition_values = (4, 6, 1), UINT8, None
    encoder_shape, measurement, sees_inputs = (4, 6, 1), None, True


class OfMeasurements(Model):
    measurement = Pixels()


class OfMasksToo(OfMeasurements):
    encoder_shape = (4, 6, 2)


class ExportOfImages(OfMeasurements):
    sees_inputs = False


class OfNothingKnown(Model):
    encoder_shape = (4, 6, 3)


def test_an_encoder_of_whole_images_sees_them():
    assert inputs_of(Model(), IMAGES, 3) is None
    assert inputs_of(Model(), np.zeros((1, 9, 9, 1), np.uint8), 3) is None  # in tiles


@pytest.mark.parametrize("kind", [OfMeasurements, OfMasksToo])
@pytest.mark.parametrize("first", [0, 2])
def test_a_measurement_follows_from_the_seed_and_the_image_s_number(kind, first):
    y, mask = measured(Pixels(), IMAGES, range(first, first + 3), 5)
    found = inputs_of(kind(), IMAGES, 5, first)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found[..., :1], y)
    if kind is OfMasksToo:
        np.testing.assert_array_equal(found[..., 1], mask)


@pytest.mark.parametrize(
    ("kind", "images", "sentence"),
    [
        (ExportOfImages, IMAGES, "this export of it can be shown whole images alone"),
        (OfNothingKnown, IMAGES, "sees 3 channels, an image has 1, and no measurement tells"),
        (OfMeasurements, IMAGES[:, :3], "of 4x6, and these are of 3x6, which cannot be measured"),
    ],
)
def test_what_cannot_be_measured_is_refused(kind, images, sentence):
    with pytest.raises(BadInputError, match=sentence):
        inputs_of(kind(), images, 0)
