"""YAML: one guarded reader for all that somebody else may have written, and one writer.

Configurations, presets, ``--set`` and ``--options`` are all read here. Nothing is run, a key that
is given twice is refused rather than lost, nothing grows without bound, and whatever is wrong is
one sentence with the file and the line.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import yaml

from hvae_core.errors import HvaeError

#: a configuration has a few kilobytes
MAX_BYTES = 1 << 18
#: values after all aliases are written out; a few references to references make billions
MAX_VALUES = 20_000
#: how deep values may lie inside each other, those of aliases included
MAX_DEPTH = 40
#: digits of a whole number; Python refuses to print one of more than 4,300
MAX_DIGITS = 400
#: how much of a problem is told; it may quote a value
_TOLD = 200

_MERGE = "tag:yaml.org,2002:merge"


def read_mapping(path: Path, kind: type[HvaeError]) -> dict[str, Any]:
    """The mapping in a YAML file; empty where the file is.

    Args:
        path: the file.
        kind: of the error.

    Raises:
        HvaeError: of this kind: it cannot be read, is not valid, is no mapping, or is too large,
            in bytes or once its aliases are written out.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise kind(f"Cannot read {path}: {error.strerror or error}.") from error
    try:
        content = _parse(raw)
    except _InvalidYAMLError as error:
        line = f" line {error.line}" if error.line else ""
        raise kind(f"{path}{line} is not valid YAML: {error.problem}.") from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        found = "a list" if isinstance(content, list) else "a single value"
        raise kind(f"{path} holds {found}; expected the keys of a configuration.")
    return content


def parse_yaml(text: str, name: str, kind: type[HvaeError], hint: str = "") -> Any:
    """The value of a YAML text.

    Args:
        text: the YAML.
        name: what it is, for the message.
        kind: of the error.
        hint: how to mend it.

    Raises:
        HvaeError: of this kind: it is not valid, or too large.
    """
    try:
        return _parse(text.encode("utf-8", "surrogatepass"))
    except _InvalidYAMLError as error:
        raise kind(f"{name} is not valid YAML: {error.problem}.", hint) from error


def dump_yaml(
    values: Mapping[str, Any],
    *,
    inline: Literal["lists", "leaves"] | None = "lists",
    width: int | None = None,
) -> str:
    """A mapping as YAML that reads back to an equal one, its keys in their order.

    Args:
        values: plain values.
        inline: what stands on one line: every list, as in ``width: [8, 16, 32]``; lists and
            mappings that hold no further ones; or nothing.
        width: where lines are broken, 80 by default.
    """
    return yaml.dump(
        dict(values),
        Dumper=_InlineLists if inline == "lists" else yaml.SafeDumper,
        default_flow_style=None if inline == "leaves" else False,
        sort_keys=False,
        allow_unicode=True,
        width=width,
    )


class _InvalidYAMLError(Exception):
    """What is wrong, and in which line, if that is known."""

    def __init__(self, problem: str, line: int | None = None) -> None:
        super().__init__(problem)
        plain = " ".join(problem.split()).rstrip(".")
        self.problem = plain if len(plain) <= _TOLD else f"{plain[:_TOLD]}..."
        self.line = line


class _Loader(yaml.SafeLoader):
    """YAML's safe loader with bounds; an error of any kind in a value names its place."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = self._nodes = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """As in PyYAML, which calls itself for each value inside another."""
        self._depth += 1
        self._nodes += 1
        try:
            if self._nodes > MAX_VALUES:
                raise _InvalidYAMLError(f"it has more than {MAX_VALUES} values")
            if self._depth > MAX_DEPTH:
                raise _error("too many values inside each other", self.peek_event())
            return super().compose_node(parent, index)
        finally:
            self._depth -= 1

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """As in PyYAML, where a malformed date or number raises what Python does."""
        try:
            return super().construct_object(node, deep)
        except yaml.YAMLError:
            raise
        except Exception as error:
            value = repr(node.value) if isinstance(node, yaml.ScalarNode) else "a list or a mapping"
            raise _error(f"{value} is no {node.tag.rpartition(':')[2]}", node) from error

    def construct_yaml_int(self, node: yaml.ScalarNode) -> int:
        """As in PyYAML, for a number that can be printed."""
        if len(node.value) > MAX_DIGITS:
            raise _error(f"a number of more than {MAX_DIGITS} digits", node)
        return super().construct_yaml_int(node)

    def check(self, node: yaml.Node) -> None:
        """Refuse a key given twice, a value inside itself, and what grows beyond the bounds."""
        values, depth = self._measure(node, {})
        if depth > MAX_DEPTH:
            raise _InvalidYAMLError("too many values inside each other through its aliases")
        if values > MAX_VALUES:
            raise _InvalidYAMLError(
                f"it has more than {MAX_VALUES} values once its aliases are written out"
            )

    def _measure(self, node: yaml.Node, known: dict[int, tuple[int, int]]) -> tuple[int, int]:
        """How many values a node has, and how deep they lie; an alias is what it stands for."""
        if id(node) in known:
            if known[id(node)] == (0, 0):
                raise _error("a value contains itself", node)
            return known[id(node)]
        known[id(node)] = 0, 0
        parts: list[yaml.Node] = []
        if isinstance(node, yaml.MappingNode):
            self._check_keys(node)
            parts = [part for pair in node.value for part in pair]
        elif isinstance(node, yaml.SequenceNode):
            parts = node.value
        measures = [self._measure(part, known) for part in parts]
        values = 1 + sum(measure[0] for measure in measures)
        known[id(node)] = values, 1 + max((measure[1] for measure in measures), default=0)
        return known[id(node)]

    def _check_keys(self, node: yaml.MappingNode) -> None:
        seen = set()
        for key_node, _ in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                raise _error("a key is a list or a mapping", key_node)
            if key_node.tag == _MERGE:
                continue
            key = self.construct_object(key_node)
            if key in seen:
                raise _error(f"the key {key!r} is given twice", key_node)
            seen.add(key)


_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.construct_yaml_int)


class _InlineLists(yaml.SafeDumper):
    """YAML's safe dumper, with a list on one line."""


_InlineLists.add_representer(
    list,
    lambda dumper, values: dumper.represent_sequence(
        yaml.resolver.BaseResolver.DEFAULT_SEQUENCE_TAG, values, flow_style=True
    ),
)


def _parse(raw: bytes) -> Any:
    """The value of a YAML document in UTF-8; None where it is empty.

    Raises:
        _InvalidYAMLError: anything is wrong with it.
    """
    if len(raw) > MAX_BYTES:
        raise _InvalidYAMLError(f"it has more than {MAX_BYTES} bytes")
    try:
        text = raw.decode("utf-8-sig")
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is None:
            return None
        loader.check(node)
        return loader.construct_document(node)
    except _InvalidYAMLError:
        raise
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise _InvalidYAMLError("it is no UTF-8 text", line) from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise _InvalidYAMLError(f"it holds the character {error.character:#x}", line) from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problem = error.problem or error.context or "it is malformed"
        raise _InvalidYAMLError(problem, mark.line + 1 if mark else None) from error
    except Exception as error:  # whatever PyYAML or Python meets in somebody's file
        raise _InvalidYAMLError(str(error) or type(error).__name__) from error


def _error(problem: str, place: Any) -> yaml.MarkedYAMLError:
    return yaml.constructor.ConstructorError(None, None, problem, place.start_mark)
