"""Which flags of ``hvae import`` are texts, whatever YAML would make of them."""

from pathlib import Path
from typing import Annotated, Literal, Optional

import pydantic
import pytest

from hvae_core.cli.import_checkpoint import takes_text


class Options(pydantic.BaseModel):
    text: str
    unset: str | None = None
    older: Optional[str] = None  # noqa: UP045
    annotated: Annotated[str, pydantic.Field(max_length=3)] | None = None
    choice: Literal["yes", "no"] = "no"
    path: Path | None = None
    number: int = 0
    either: int | str = 0
    size: Literal[1, 2] = 1
    names: list[str] = []


@pytest.mark.parametrize("key", Options.model_fields)
def test_text_is_taken_where_nothing_else_is(key):
    texts = {"text", "unset", "older", "annotated", "choice", "path"}
    assert takes_text(Options.model_fields[key].annotation) == (key in texts)
