"""A part of the model chosen by name: ``{name: bottleneck}``, ``flow: planar``, ``flow: none``.

The options beside ``name`` belong to the plugin and are validated by its own config class, with
unknown keys refused, so that a third party's component is checked like ours.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Annotated, Any, cast

import pydantic
from pydantic_core import PydanticCustomError

from hvae_core.config.limits import check_options
from hvae_core.config.spelling import SEQUENCE, spelt_out
from hvae_core.errors import HvaeError
from hvae_core.plugins import manager
from hvae_core.plugins.specs import ComponentSpec

_GIVEN = "; images held in Python are given as hvae.train(..., dataset=images)"


@dataclasses.dataclass(frozen=True)
class Component:
    """A chosen component with its validated options.

    ``scales``, of a flow: at which scales it is on, one value for all or one a scale.
    ``condition``, of a data set: what of it a conditional model is given, a name or several.
    """

    kind: str
    name: str
    options: Any
    scales: bool | tuple[bool, ...] = True
    condition: str | tuple[str, ...] | None = None

    @property
    def spec(self) -> ComponentSpec:
        """The plugin's description of this component."""
        return manager().get(self.kind, self.name)

    def with_options(self, **changes: Any) -> Component:
        """The component with some of its options changed; they are validated again."""
        values = {**options_to_dict(self.options), **changes}
        return dataclasses.replace(self, options=validate_options(self.spec.config, values))

    @property
    def has_default_options(self) -> bool:
        """Whether no option was changed."""
        return not self.changed_options

    @property
    def changed_options(self) -> dict[str, Any]:
        """The options that are not the defaults; all of them where one is required."""
        options = options_to_dict(self.options)
        try:
            usual = options_to_dict(validate_options(self.spec.config, {}))
        except pydantic.ValidationError:
            return options
        return {key: value for key, value in options.items() if value != usual[key]}

    def build(self, *args: Any, **kwargs: Any) -> Any:
        """Build the component: the options go first, then ``args``."""
        return self.spec.build(self.options, *args, **kwargs)

    def to_dict(self) -> dict[str, Any]:
        """The component as a configuration file holds it."""
        scales = self.scales if isinstance(self.scales, bool) else list(self.scales)
        return {
            "name": self.name,
            **({} if scales is True else {"scales": scales}),
            **({} if self.condition is None else {"condition": _as_list(self.condition)}),
            **options_to_dict(self.options),
        }


def _as_list(value: str | tuple[str, ...]) -> str | list[str]:
    return value if isinstance(value, str) else list(value)


def options_to_dict(options: Any) -> dict[str, Any]:
    """A component's options as plain values."""
    if isinstance(options, pydantic.BaseModel):
        return options.model_dump(mode="json")
    return pydantic.TypeAdapter(type(options)).dump_python(options, mode="json")


def validate_options(config_class: type, values: Mapping[str, Any]) -> Any:
    """``values`` as an instance of ``config_class``; unknown keys are refused.

    Raises:
        pydantic.ValidationError: a key is unknown or a value impossible.
    """
    if isinstance(config_class, type) and issubclass(config_class, pydantic.BaseModel):
        known = set(config_class.model_fields)
    else:
        known = {field.name for field in dataclasses.fields(cast("Any", config_class))}
    unknown = [key for key in values if key not in known]
    if unknown:
        raise pydantic.ValidationError.from_exception_data(
            config_class.__name__,
            [
                {"type": "extra_forbidden", "loc": (key,), "input": values[key], "ctx": {}}
                for key in unknown
            ],
        )
    return pydantic.TypeAdapter(config_class).validate_python(dict(values))


def parse_component(kind: str, value: Any, optional: bool) -> Component | None:
    """Turn what a configuration says into a `Component`.

    Args:
        kind: the component's kind.
        value: a name, a mapping with ``name`` and options, a `Component`, or none.
        optional: whether "none" is allowed.
    """
    if isinstance(value, Component):
        return value
    if value is None or (isinstance(value, str) and value == "none"):
        value = {"name": "none"}
    if kind == "measurement":
        value = _measurement(value)
    if isinstance(value, str):
        value = {"name": value}
    if not isinstance(value, Mapping):
        raise PydanticCustomError(
            "component",
            "expected the name of {kind}, or a mapping with 'name' and its options{further}",
            {"kind": _one(kind), "further": _GIVEN if kind == "dataset" else ""},
        )
    options = dict(value)
    name = options.pop("name", None)
    if name is None:
        raise PydanticCustomError(
            "component", "the key 'name' is missing: it says which {kind}", {"kind": kind}
        )
    if not isinstance(name, str):
        raise PydanticCustomError(
            "component",
            "the key 'name' is {given}; expected the name of {kind}",
            {"given": repr(name), "kind": _one(kind)},
        )
    if name == "none":
        if options:
            raise PydanticCustomError(
                "component",
                "none has no options, but {keys} is given; give the name of {kind} as well",
                {"keys": ", ".join(map(str, options)), "kind": _one(kind)},
            )
        if optional:
            return None
        raise PydanticCustomError("component", "{kind} is needed here", {"kind": _one(kind)})
    scales = parse_scales(options.pop("scales", True)) if kind == "flow" else True
    condition = parse_condition(options.pop("condition", None)) if kind == "dataset" else None
    try:
        check_options(kind, options)
    except ValueError as error:
        raise PydanticCustomError("component", "{text}", {"text": str(error)}) from error
    try:
        options = validate_options(manager().get(kind, name).config, options)
    except HvaeError as error:
        raise PydanticCustomError("component", "{text}", {"text": str(error)}) from error
    return Component(kind, name, options, scales, condition)


def _measurement(value: Any) -> Any:
    """A measurement in a word, and a list of measurements, as the mapping that they stand for."""
    if isinstance(value, list | tuple):
        return {"name": SEQUENCE, "measurements": list(value)}
    if not isinstance(value, str):
        return value
    try:
        return spelt_out("measurement", value)
    except HvaeError as error:
        raise PydanticCustomError("component", "{text}", {"text": str(error)}) from error


def _one(kind: str) -> str:
    """A kind with its article."""
    return f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}"


def parse_scales(value: Any) -> bool | tuple[bool, ...]:
    """A flow's key ``scales``: true, false or a list of these."""
    values = value if isinstance(value, list | tuple) else [value]
    if not all(isinstance(v, bool) for v in values):
        raise PydanticCustomError(
            "component",
            "the key 'scales' is {given}; expected true or false, or a list with one a scale",
            {"given": repr(value)},
        )
    return value if isinstance(value, bool) else tuple(value)


def parse_condition(value: Any) -> str | tuple[str, ...] | None:
    """A data set's key ``condition``: a name, several, or none."""
    if value is None or value == "none":
        return None
    values = value if isinstance(value, list | tuple) else [value]
    if not values or not all(isinstance(v, str) and v for v in values):
        raise PydanticCustomError(
            "component",
            "the key 'condition' is {given}; expected a name, such as label, or a list of names",
            {"given": repr(value)},
        )
    return value if isinstance(value, str) else tuple(value)


def component_field(kind: str, optional: bool, short: bool = False) -> Any:
    """What makes a pydantic field hold a `Component`: to be unpacked into ``Annotated``.

    Args:
        kind: the component's kind.
        optional: whether there may be none.
        short: whether one whose options have their defaults is written as its name alone.
    """
    schema = {
        "anyOf": [
            {"type": "string"},
            {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]},
            *([{"type": "null"}] if optional else []),
        ],
        "description": f"{_one(kind)}: its name, or a mapping with its name and its options",
        "x-kind": kind,
    }
    return (
        pydantic.BeforeValidator(lambda value: parse_component(kind, value, optional)),
        pydantic.PlainSerializer(lambda c: _plain(c, short) if c is not None else None),
        pydantic.WithJsonSchema(schema),
    )


def _plain(component: Component, short: bool) -> dict[str, Any] | str:
    if short and component.has_default_options:
        return component.name
    return component.to_dict()


_b, _f, _a, _c, _p = (
    component_field(kind, kind != "block")
    for kind in ("block", "flow", "attention", "condition", "prior")
)
_l, _r, _d = (
    component_field(kind, kind == "regularizer")
    for kind in ("likelihood", "regularizer", "dataset")
)
_m = component_field("measurement", True)
_o, _s, _t = (component_field(kind, False, True) for kind in ("optimizer", "schedule", "tracker"))
Block = Annotated[pydantic.SkipValidation[Component], *_b]
Flow = Annotated[pydantic.SkipValidation[Component | None], *_f]
Attention = Annotated[pydantic.SkipValidation[Component | None], *_a]
Condition = Annotated[pydantic.SkipValidation[Component | None], *_c]
Prior = Annotated[pydantic.SkipValidation[Component | None], *_p]
Likelihood = Annotated[pydantic.SkipValidation[Component], *_l]
Regularizer = Annotated[pydantic.SkipValidation[Component | None], *_r]
Dataset = Annotated[pydantic.SkipValidation[Component], *_d]
Measurement = Annotated[pydantic.SkipValidation[Component | None], *_m]
Optimizer = Annotated[pydantic.SkipValidation[Component], *_o]
Schedule = Annotated[pydantic.SkipValidation[Component], *_s]
Tracker = Annotated[pydantic.SkipValidation[Component], *_t]
