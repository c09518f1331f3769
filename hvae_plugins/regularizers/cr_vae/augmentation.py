"""Random affine copies of images in one resampling, and colour jitter: NumPy on uint8 batches."""

from __future__ import annotations

import dataclasses
from typing import Literal

import numpy as np

from hvae_core.interfaces import Invariance
from hvae_plugins.regularizers.cr_vae import CrVaeConfig

#: rotation in degrees, shift as a part of the side, scale
RANGES = {"small": (15.0, 0.05, 0.1), "large": (30.0, 0.1, 0.25), "none": (0.0, 0.0, 0.0)}
#: of red, green and blue in the luminance (ITU-R BT.601), around which saturation changes
LUMA = np.array([0.299, 0.587, 0.114], np.float32)

Border = Literal["background", "edge", "reflect"]


@dataclasses.dataclass(frozen=True)
class Augmentation:
    """Turns, moves, scales, mirrors and colours each image at random.

    All of the geometry is one affine map of the pixels' places about the image's centre, sampled
    once and bilinearly. Strokes on a plain background move over that background. A photograph has
    none, and is mirrored at its edges: unlike repeated edge pixels or black corners, that looks
    like more of the picture, and tells the encoder least of how the copy was made.

    Args:
        rotation: largest angle in degrees, either way.
        shift: largest shift along each axis, as a part of the side.
        scale: sizes from 1 - scale to 1 + scale.
        flip: whether half of the images are mirrored left to right.
        vertical_flip: whether half of them are mirrored top to bottom.
        colour: brightness, contrast and saturation are multiplied by 1 - c to 1 + c, c each's own.
        hue: hues are turned by so much at most, as a part of the whole circle.
        border: what lies outside.
        background: its value, with that border.
    """

    rotation: float = 0.0
    shift: float = 0.0
    scale: float = 0.0
    flip: bool = False
    vertical_flip: bool = False
    colour: tuple[float, float, float] = (0.0, 0.0, 0.0)
    hue: float = 0.0
    border: Border = "reflect"
    background: int = 0

    @classmethod
    def chosen(cls, config: CrVaeConfig, invariance: Invariance) -> Augmentation:
        """What the options say, and where they are unset the data set."""
        name = config.augmentation or invariance.range
        ranges = zip(("rotation", "shift", "scale"), RANGES[name], strict=True)
        values = {
            key: value if getattr(config, key) is None else getattr(config, key)
            for key, value in ranges
        }
        plain = invariance.background is not None
        flip = invariance.mirrored and name != "none" if config.flip is None else config.flip
        border: Border = config.border or ("background" if plain else "reflect")
        return cls(
            **values,
            flip=flip,
            vertical_flip=config.vertical_flip,
            colour=(
                config.colour if config.brightness is None else config.brightness,
                config.colour if config.contrast is None else config.contrast,
                config.colour if config.saturation is None else config.saturation,
            ),
            hue=config.hue,
            border=border,
            background=invariance.background or 0,
        )

    def __call__(self, images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """A copy of each image: uint8 [B, H, W, C] -> float32, the same shape, 0 to 255."""
        rows = len(images)
        angle = np.deg2rad(rng.uniform(-self.rotation, self.rotation, rows))
        size = rng.uniform(1.0 - self.scale, 1.0 + self.scale, rows)
        sides = np.array(images.shape[1:3])
        shift = rng.uniform(-self.shift, self.shift, (rows, 2)) * sides
        mirrored = rng.random(rows) < 0.5 if self.flip else np.zeros(rows, bool)
        most = np.array(self.colour)
        factors = rng.uniform(1.0 - most, 1.0 + most, (rows, 3))
        # Drawn last and only where asked for: the other draws are the same with them and without.
        upside_down = rng.random(rows) < 0.5 if self.vertical_flip else None
        turns = rng.uniform(-self.hue, self.hue, rows) if self.hue else None
        matrices = inverse_matrices(angle, size, mirrored, upside_down)
        copies = resample(images, matrices, shift, self.border, self.background)
        copies = jitter(copies, factors)
        return copies if turns is None else turned_hues(copies, turns)


def inverse_matrices(
    angle: np.ndarray,
    size: np.ndarray,
    mirrored: np.ndarray,
    upside_down: np.ndarray | None = None,
) -> np.ndarray:
    """From a place in the copy, (y, x) from the centre, to that in the image: [B, 2, 2].

    The copy is the image mirrored left to right, and top to bottom where it is ``upside_down``,
    then scaled, then turned by ``angle`` radians anticlockwise.
    """
    cosine, sine = np.cos(angle), np.sin(angle)
    turned = np.stack([np.stack([cosine, sine], -1), np.stack([-sine, cosine], -1)], -2)
    turned[:, 1] *= np.where(mirrored, -1.0, 1.0)[:, None]
    if upside_down is not None:
        turned[:, 0] *= np.where(upside_down, -1.0, 1.0)[:, None]
    return turned / size[:, None, None]


def resample(
    images: np.ndarray,
    matrices: np.ndarray,
    shift: np.ndarray,
    border: Border = "background",
    background: int = 0,
) -> np.ndarray:
    """Each image at the places an affine map takes its pixels from, bilinearly.

    Args:
        images: [B, H, W, C].
        matrices: [B, 2, 2], from the copy's places to the image's, see `inverse_matrices`.
        shift: [B, 2], by which the copy is moved down and right, in pixels.
        border: what lies outside.
        background: its value, with that border.

    Returns:
        float32 [B, H, W, C].
    """
    rows, height, width, channels = images.shape
    sides = (height, width)
    down, right = (np.arange(side) - (side - 1) / 2 for side in sides)
    offsets = -(matrices @ shift[:, :, None])[..., 0]
    corners = []
    for axis, side in enumerate(sides):
        along_y, along_x = (matrices[:, axis, i, None, None] for i in (0, 1))
        place = along_y * down[:, None] + along_x * right
        place += offsets[:, axis, None, None] + (side - 1) / 2
        low = np.floor(place)
        after = (place - low).astype(np.float32)
        low = low.astype(np.int32)
        ends = ((low, 1 - after), (low + 1, after))
        corners.append([corner(*end, side, border) for end in ends])
    flat = images.reshape(-1, channels).astype(np.float32)
    first = np.arange(rows, dtype=np.int32)[:, None, None] * (height * width)
    total = np.zeros(images.shape, np.float32)
    seen = np.zeros((rows, height, width), np.float32)
    for y, weight_y in corners[0]:
        for x, weight_x in corners[1]:
            weight = weight_y * weight_x
            total += weight[..., None] * np.take(flat, first + y * width + x, axis=0)
            seen += weight
    if border == "background" and background:
        total += (1 - seen)[..., None] * np.float32(background)
    return total


def corner(
    place: np.ndarray, weight: np.ndarray, side: int, border: Border
) -> tuple[np.ndarray, np.ndarray]:
    """Pixels along an axis and their weights; a background's have none."""
    if border == "background":
        weight = weight * ((place >= 0) & (place < side))
    elif border == "reflect" and side > 1:
        period = 2 * (side - 1)
        place = np.abs((place + side - 1) % period - (side - 1))
    return np.clip(place, 0, side - 1), weight


def jitter(images: np.ndarray, factors: np.ndarray) -> np.ndarray:
    """Brightness, contrast and saturation [B, 3] of images [B, H, W, C], 0 to 255."""
    if np.all(factors == 1.0):
        return images
    brightness, contrast, saturation = factors.astype(np.float32).T[:, :, None, None, None]
    images = images * brightness
    middle = images.mean(axis=(1, 2, 3), keepdims=True)
    images = middle + contrast * (images - middle)
    if images.shape[-1] == 3:
        grey = (images @ LUMA)[..., None]
        images = grey + saturation * (images - grey)
    return np.clip(images, 0.0, 255.0)


def turned_hues(images: np.ndarray, turns: np.ndarray) -> np.ndarray:
    """Images [B, H, W, C], 0 to 255, with hues turned by ``turns`` [B] of the whole circle.

    In HSV, lightest and darkest channel of a pixel stay. Images that are not RGB have no hue.
    """
    if images.shape[-1] != 3:
        return images
    highest, lowest = images.max(-1), images.min(-1)
    chroma = highest - lowest
    red, green, blue = np.moveaxis(images, -1, 0)
    safe = np.where(chroma > 0, chroma, 1.0)
    hue = np.select(
        [highest == red, highest == green],
        [(green - blue) / safe, 2.0 + (blue - red) / safe],
        4.0 + (red - green) / safe,
    )
    hue = hue + 6.0 * turns.astype(np.float32)[:, None, None]
    # Each channel is at its highest within 1 of its own hue, and at its lowest from 2 on.
    centres = np.array([0.0, 2.0, 4.0], np.float32)
    distance = np.abs((hue[..., None] - centres + 3.0) % 6.0 - 3.0)
    part = np.clip(2.0 - distance, 0.0, 1.0)
    return (lowest[..., None] + chroma[..., None] * part).astype(np.float32)


def quantised(images: np.ndarray, levels: int) -> np.ndarray:
    """The nearest of the values a pixel can have, round(255 k / (levels - 1)), as uint8."""
    level = np.rint(images * np.float32((levels - 1) / 255))
    return np.rint(level * (255 / (levels - 1))).astype(np.uint8)
