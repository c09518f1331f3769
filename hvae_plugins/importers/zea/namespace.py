"""The arguments that zea keeps beside its weights, a pickled ``argparse.Namespace``."""

from __future__ import annotations

import io
import pickle
import pickletools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hvae_core.config.per_scale import expand
from hvae_core.errors import ConfigError

LARGEST = 1 << 20
#: what a pickled namespace of plain values is made of; nothing that calls, imports or allocates
_OPCODES = frozenset(
    {
        "PROTO", "FRAME", "STOP", "MARK", "MEMOIZE", "BINPUT", "BINGET", "GLOBAL", "STACK_GLOBAL",
        "EMPTY_TUPLE", "NEWOBJ", "BUILD", "EMPTY_DICT", "SETITEM", "SETITEMS", "EMPTY_LIST",
        "APPEND", "APPENDS", "NONE", "NEWTRUE", "NEWFALSE", "BININT", "BININT1", "BININT2", "LONG1",
        "BINFLOAT", "SHORT_BINUNICODE", "BINUNICODE", "LONG_BINGET",
    }
)  # fmt: skip

#: of its mixture's scales, which never acts
LOG_SCALE_FLOOR = -250.0
#: side of the finest scale, channels and our data set of each of its data sets
DATASETS: dict[str, tuple[int, int, dict[str, Any]]] = {
    "cifar10": (32, 3, {"name": "cifar10"}),
    "imagenet32": (32, 3, {"name": "imagenet32"}),
    "celeba64": (64, 3, {"name": "image-folder", "root": "celeba64", "size": 64}),
    "echonet": (128, 1, {"name": "image-folder", "root": "echonet", "size": 128, "channels": 1}),
    "echonetlvh": (256, 3, {"name": "image-folder", "root": "echonetlvh", "size": 256}),
}
#: per-scale options, finest first
_SCALES = {
    "stage_in_width": "width",
    "enc_middle_width": "encoder_middle_width",
    "dec_middle_width": "decoder_middle_width",
    "z_width": "latent_width",
    "enc_num_blocks": "encoder_blocks",
    "dec_num_blocks": "decoder_blocks",
}


class Arguments:
    """What stands for ``argparse.Namespace``."""


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) != ("argparse", "Namespace"):
            raise pickle.UnpicklingError(f"it names {module}.{name}")
        return Arguments


def read_namespace(path: Path) -> dict[str, Any]:
    """The values of a pickled ``argparse.Namespace``; nothing in it is run.

    Raises:
        ConfigError: the file is missing, too large, damaged, or holds anything else.
    """
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
    except OSError as error:
        raise ConfigError(
            f"Cannot read {path}: {error.strerror or error}.",
            "zea keeps its arguments in args.pkl beside the weights.",
        ) from error
    try:
        if len(data) > LARGEST:
            raise ValueError(f"it is larger than {LARGEST:,} bytes")
        values = _unpickle(data)
    except Exception as error:  # unpickling has no list of what it raises on a bad file
        text = " ".join(str(error).split())[:200]
        raise ConfigError(
            f"{path} is no pickled argparse.Namespace of plain values: {text}.",
            "Nothing in it was run. Give the file that zea keeps beside its weights.",
        ) from None
    return values


def _unpickle(data: bytes) -> dict[str, Any]:
    for opcode, _, place in pickletools.genops(data):
        if opcode.name not in _OPCODES:
            raise ValueError(f"it has the instruction {opcode.name} at {place}")
    found = _Unpickler(io.BytesIO(data)).load()
    if type(found) is not Arguments:
        raise ValueError(f"it holds a {type(found).__name__}")
    for key, value in vars(found).items():
        values = value if isinstance(value, list) else [value]
        if not all(v is None or isinstance(v, bool | int | float | str) for v in values):
            raise ValueError(f"{str(key)[:40]!r} is no number, text or list of these")
    return dict(vars(found))


def translate(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """A mapping for `hvae_core.config.parse_config`.

    Raises:
        ConfigError: an argument is missing, or describes a network that zea's importer leaves out.
    """
    missing = [
        key
        for key in (*_SCALES, "dataset", "b_act", "p_act", "init_zeros", "num_output_mixtures",
                    "gradient_smoothing", "output_blocks", "z_out_width", "z_out_middle_width",
                    "increase_kernelsize")
        if key not in arguments
    ]  # fmt: skip
    if missing:
        raise ConfigError(f"the argument {missing[0]!r} is missing.")
    name = arguments["dataset"]
    if not isinstance(name, str) or name not in DATASETS:
        raise ConfigError(
            f"dataset is {name!r}; expected one of {', '.join(DATASETS)}, which says the scales."
        )
    _refuse_what_is_left_out(arguments)
    side, channels, data = DATASETS[name]
    resolutions = [side >> place for place in range(side.bit_length())]
    model: dict[str, Any] = {"resolutions": resolutions, "image_channels": channels}
    for theirs, ours in _SCALES.items():
        model[ours] = _per_scale(arguments[theirs], len(resolutions), theirs)
    model |= {
        "block_activation": arguments["b_act"],
        "pool_activation": arguments["p_act"],
        "pool_order": "project-first",
        "large_kernels": bool(arguments["increase_kernelsize"]),
        "top": "zeros" if arguments["init_zeros"] else "learned",
        "no_bias_above": resolutions[-1],
        "standard_deviation": "softplus",
        "softplus_beta": arguments["gradient_smoothing"],
        "readout": {
            "kind": "latents",
            "blocks": arguments["output_blocks"],
            "width": arguments["z_out_width"],
            "middle_width": arguments["z_out_middle_width"],
            "upsampling": "nearest",
            "last_activation": False,
        },
    }
    mixture = {
        "name": "logistic-mixture",
        "mixtures": arguments["num_output_mixtures"],
        "log_scale_floor": LOG_SCALE_FLOOR,
    }
    return {"model": model, "likelihood": mixture, "data": data}


def _refuse_what_is_left_out(arguments: Mapping[str, Any]) -> None:
    for key in ("use_spatial_attention", "use_depthwise_attention", "depthwise", "block_gn"):
        if arguments.get(key):
            raise ConfigError(f"{key} is on; a network with it cannot be imported.")
    flow, counts = arguments.get("flow_type", "none"), arguments.get("num_flows", 0)
    if flow not in ("none", None):
        raise ConfigError(f"flow_type is {flow!r}; a network with flows cannot be imported.")
    if any(counts if isinstance(counts, list) else [counts]):
        raise ConfigError(f"num_flows is {counts}; a network with flows cannot be imported.")


def _per_scale(value: Any, scales: int, key: str) -> list[Any]:
    """One value a scale, finest first; of a list with one, that for all."""
    values = value if isinstance(value, list) else [value]
    try:
        return expand(values[0] if len(values) == 1 else values, scales, key)
    except ValueError as error:
        raise ConfigError(f"{error}.") from None
