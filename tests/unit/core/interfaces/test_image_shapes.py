"""Images of another shape than the model's are refused in one sentence."""

import pytest

from hvae_core.errors import BadInputError, ConfigError
from hvae_core.interfaces.image_shapes import check_image_shape


@pytest.mark.parametrize("shape", [(8, 8, 1), (5, 8, 8, 1), (2, 3, 8, 8, 1)])
def test_images_of_the_model_s_shape_pass_whatever_is_before_it(shape):
    check_image_shape(shape, (8, 8, 1))


@pytest.mark.parametrize("shape", [(), (8, 1), (8, 1, 8), (5, 8, 8, 3), (8, 8, 1, 1)])
def test_images_of_another_shape_are_named(shape):
    with pytest.raises(ConfigError, match=r"^The images have shape .* \[8, 8, 1\]\. model\."):
        check_image_shape(shape, (8, 8, 1))


@pytest.mark.parametrize("shape", [(8, 8, 1), (0, 8, 8, 1), (1, 1, 8, 8, 1), (1, 8, 8, 3)])
def test_a_batch_has_images_of_the_model_s_shape(shape):
    with pytest.raises(BadInputError, match=r"^x has shape .*the model needs images \[B, 8, 8, 1"):
        check_image_shape(shape, (8, 8, 1), "x has", batch=True, kind=BadInputError)
    check_image_shape((1, 8, 8, 1), (8, 8, 1), "x has", batch=True, kind=BadInputError)


@pytest.mark.parametrize(
    ("shape", "expected", "hint"),
    [
        ((8, 8, 1), (8, 8, 1), "make a batch, x[None]"),
        ((5, 8, 8), (8, 8, 1), "Add the axis of the channels, x[..., None]"),
        ((5, 3, 8, 8), (8, 8, 3), "Move the channels to the end, numpy.moveaxis(x, -3, -1)"),
        ((5, 9, 8, 3), (8, 8, 3), "Crop or resize"),
    ],
)
def test_how_an_array_becomes_a_batch(shape, expected, hint):
    with pytest.raises(BadInputError) as caught:
        check_image_shape(shape, expected, "x has", batch=True, kind=BadInputError)
    assert hint in caught.value.hint
