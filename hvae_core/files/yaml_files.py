"""Reading YAML that somebody else wrote: nothing is run, and nothing grows without bound."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from hvae_core.errors import PresetError

if TYPE_CHECKING:
    import yaml

#: a preset.yaml has a few kilobytes
MAX_BYTES = 1 << 18
#: values after all aliases are written out; a few references to references make billions
MAX_VALUES = 20_000


def read_mapping(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file.

    Raises:
        PresetError: it cannot be read, is no mapping, or is too large, in bytes or once its
            aliases are written out.
    """
    import yaml

    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
        if len(raw) > MAX_BYTES:
            raise PresetError(f"{path} has more than {MAX_BYTES} bytes; that is no configuration.")
        loader = yaml.SafeLoader(raw)
        try:
            node = loader.get_single_node()
            if node is not None and _values(node, {}) > MAX_VALUES:
                raise PresetError(
                    f"{path} has more than {MAX_VALUES} values once its aliases are written out; "
                    "that is no configuration."
                )
            content = None if node is None else loader.construct_document(node)
        finally:
            loader.dispose()
    except OSError as error:
        raise PresetError(f"Cannot read {path}: {error.strerror or error}.") from error
    except (yaml.YAMLError, UnicodeDecodeError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        raise PresetError(f"{path}{where} is not valid YAML.") from error
    if not isinstance(content, dict):
        raise PresetError(f"{path} holds no keys; expected those of a configuration.")
    return content


def _values(node: yaml.Node, known: dict[int, int]) -> int:
    """How many values a node has, each alias counted as what it stands for.

    Raises:
        ValueError: it contains itself.
    """
    if id(node) in known:
        if known[id(node)] == 0:
            raise ValueError("a value contains itself")
        return known[id(node)]
    known[id(node)] = 0
    parts: list[yaml.Node] = []
    if isinstance(node.value, list):
        for part in node.value:
            parts += part if isinstance(part, tuple) else [part]
    known[id(node)] = 1 + sum(_values(part, known) for part in parts)
    return known[id(node)]
