"""What all sections of a configuration have in common."""

from __future__ import annotations

from typing import Any, get_args

import pydantic
from pydantic_core import PydanticCustomError


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
