"""The options of data sets whose images are decoded one by one."""

from __future__ import annotations

from typing import Annotated

import pydantic
from PIL import ImageColor

from hvae_core.data.files import DatasetOptions
from hvae_core.data.image_decoding import DROP, Crop, Decoding
from hvae_core.data.own_images import ValuesOptions

Side = Annotated[int, pydantic.Field(ge=1)]


class DecodingOptions(DatasetOptions):
    """How images are decoded."""

    size: Side | tuple[Side, Side] | None = pydantic.Field(
        None,
        description="pixels to resize to, the side of a square or [height, width]; if unset, all "
        "images must have one size",
    )
    crop: Crop = pydantic.Field(
        "center",
        description="center: cut out the central part of the size's proportions before resizing; "
        "none: stretch",
    )
    channels: int = pydantic.Field(
        3, ge=1, description="1: grey; 3: RGB; 4: RGB and opacity; else those of the files"
    )
    values: ValuesOptions = pydantic.Field(
        ValuesOptions(),
        description="what the numbers of the files are: `dtype` (uint8, uint16 or float32), `bits` "
        "(of uint16, 9 to 16), `range` (of float32: what is shown as black and as white; values "
        "may lie outside) and `unit` (of float32); others are refused",
    )
    background: str | None = pydantic.Field(
        None,
        description="colour that transparent pixels are laid on, a name or #rrggbb; if unset, they "
        "are refused; drop: the colours that they hide, as in configurations of format 1",
    )
    reduce_bits: bool = pydantic.Field(
        False,
        description="take the upper 8 bits of files with 16, where values are uint8, as in "
        "configurations of format 1; else they are refused",
    )

    skip_unreadable: bool = pydantic.Field(
        False,
        description="leave damaged images out, and tell how many and the first few, instead of "
        "stopping",
    )

    @pydantic.field_validator("background")
    @classmethod
    def _is_a_colour(cls, value: str | None) -> str | None:
        if value not in (None, DROP):
            try:
                ImageColor.getrgb(str(value))
            except ValueError as error:
                raise ValueError(
                    f"background is {value!r}; expected a colour such as white or '#808080', or "
                    f"{DROP}"
                ) from error
        return value

    @property
    def decoding(self) -> Decoding:
        """How the images are decoded."""
        size = (self.size, self.size) if isinstance(self.size, int) else self.size
        return Decoding(
            channels=self.channels,
            size=size,
            crop=self.crop,
            values=self.values.image_values(),
            background=self.background,
            reduce_bits=self.reduce_bits,
        )
