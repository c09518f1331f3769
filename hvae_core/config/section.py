"""What all sections of a configuration have in common."""

from __future__ import annotations

from typing import Any, get_args

import pydantic
from pydantic_core import PydanticCustomError

#: what a training step counts with, an int32
MAX_COUNT = 2**31 - 1
MAX_SEED = 2**63 - 1
#: of float32, which it computes in
MAX_NUMBER = 3.4e38


class Section(pydantic.BaseModel):
    """A section of a configuration: unknown keys are errors, values cannot be changed."""

    model_config = pydantic.ConfigDict(
        extra="forbid",
        frozen=True,
        arbitrary_types_allowed=True,
        validate_default=True,
        allow_inf_nan=False,
    )

    @pydantic.field_validator("*", mode="before")
    @classmethod
    def _true_is_no_number(cls, value: Any, info: pydantic.ValidationInfo) -> Any:
        """Python, and so pydantic, takes true for 1."""
        field = cls.model_fields[str(info.field_name)]
        values = value if isinstance(value, list) else [value]
        takes_bool = bool in (field.annotation, *get_args(field.annotation))
        if not takes_bool and any(isinstance(v, bool) for v in values):
            raise PydanticCustomError("bool", "Input should be a number, not true or false")
        return value

    @pydantic.field_validator("*", mode="after")
    @classmethod
    def _can_be_computed_with(cls, value: Any, info: pydantic.ValidationInfo) -> Any:
        most = MAX_SEED if info.field_name == "seed" else MAX_COUNT
        for number in value if isinstance(value, list | tuple) else (value,):
            if expected := out_of_range(number, most):
                told = "Input should be {expected}"
                raise PydanticCustomError("range", told, {"expected": expected})
        return value


def out_of_range(value: Any, most: int) -> str:
    """What a whole number beyond ``most``, or another beyond float32, should be; else empty."""
    limit = {int: most, float: MAX_NUMBER}.get(type(value))
    if limit is None or abs(value) <= limit:
        return ""
    return f"at most {limit}" if value > 0 else f"at least -{limit}"
