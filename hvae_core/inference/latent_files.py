"""Files of latents: named arrays as safetensors or ``.npz``, checked before they are believed."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from hvae_core.errors import BadInputError, DataError, WeightsError
from hvae_core.files.replacing import disk_errors, replacing
from hvae_core.weights.tensors import read_metadata, read_tensors, write_tensors

FORMAT = "hvae-latents-1"
SUFFIXES = (".safetensors", ".npz")
#: more layers than any model has; a file's number is not believed
MOST_LAYERS = 10_000
#: the array of what the images are called: strings in ``.npz``, elsewhere the bytes of a JSON list
NAMES = "names"
#: the array of which layers may be pruned, float32 of zeros and ones
PRUNABLE = "prunable"


class LatentFile(NamedTuple):
    """What a file of latents holds: arrays, the number of layers, and the images' names if any."""

    arrays: dict[str, np.ndarray]
    layers: int
    names: list[str] | None


def check_latents_path(path: str | Path) -> str:
    """The suffix of a file of latents.

    Raises:
        BadInputError: another one.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in SUFFIXES:
        raise BadInputError(
            f"{path} is neither a .safetensors nor an .npz file.",
            "Name the file of latents so, such as latents.safetensors.",
        )
    return suffix


def check_latents_output(path: str | Path) -> None:
    """Refuse a file that cannot be written, before anything is computed.

    Raises:
        BadInputError: it has another suffix, is a folder, or its folder cannot be written to.
    """
    check_latents_path(path)
    target = Path(path)
    folder = target.parent
    while not folder.exists():
        folder = folder.parent
    if target.is_dir() or not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        raise BadInputError(
            f"The output {target} cannot be written: it is a folder, or {folder} is no folder that "
            "can be written to."
        )


def write_latents(
    arrays: Mapping[str, np.ndarray], layers: int, names: Sequence[str] | None, path: Path
) -> Path:
    """Write named arrays of so many layers, and the images' names, whole or not at all.

    Raises:
        BadInputError: the path has another suffix.
        HvaeError: the file cannot be written.
    """
    if check_latents_path(path) == ".safetensors":
        # Not among the metadata: the header of a file is short.
        text = {} if names is None else {NAMES: _as_json(names)}
        return write_tensors({**arrays, **text}, path, {"format": FORMAT, "layers": str(layers)})
    facts = {"format": np.array(FORMAT), "layers": np.array(str(layers))}
    if names is not None:
        facts[NAMES] = np.array(list(names), dtype=np.str_)
    with (
        disk_errors(f"write {path}"),
        replacing(path, flush=False) as temporary,
        temporary.open("wb") as file,
    ):
        np.savez_compressed(file, **{**facts, **arrays})  # type: ignore[arg-type]
    return path


def read_latents(path: Path, lists: Sequence[str]) -> LatentFile:
    """What a file holds.

    Args:
        path: the file.
        lists: those there may be; their arrays are called ``LIST.LAYER``.

    Raises:
        DataError: the file is missing, damaged, or holds something else.
    """
    suffix = check_latents_path(path)
    try:
        if suffix == ".safetensors":
            facts, arrays = read_metadata(path), read_tensors(path)
        else:
            # Data sets bring pydantic, which an export's sampling does without.
            from hvae_core.data.arrays import read_members

            arrays = read_members(path)
            facts = {key: str(arrays.pop(key)) for key in ("format", "layers") if key in arrays}
    except (WeightsError, DataError) as error:
        raise no_latents(path, error) from error
    if facts.get("format") != FORMAT:
        raise DataError(
            f"{path} holds no latents.", "Give a file that hvae encode or Latents.save wrote."
        )
    count = facts.get("layers", "")
    layers = int(count) if re.fullmatch(r"[0-9]{1,5}", count) else 0
    if not 1 <= layers <= MOST_LAYERS:
        raise DataError(f"{path} has {count!r} latent layers.", "Write it again.")
    names = _names(path, arrays.pop(NAMES, None))
    known = {f"{name}.{place}" for name in lists for place in range(layers)}
    known |= {"kl_per_layer", PRUNABLE}
    for name, array in arrays.items():
        if name not in known or array.dtype != np.float32:
            raise DataError(
                f"{path} has the array {name!r} of {array.dtype}; expected float32 arrays "
                f"called {', '.join(f'{name}.0' for name in lists)} and on, and kl_per_layer.",
                "Write it again.",
            )
    return LatentFile(arrays, layers, names)


def _as_json(names: Sequence[str]) -> np.ndarray:
    # In ASCII, as a file's name may hold bytes that are no UTF-8, which Python keeps as surrogates.
    return np.frombuffer(json.dumps(list(names)).encode("ascii"), np.uint8)


def _names(path: Path, array: np.ndarray | None) -> list[str] | None:
    """The names that an array of either kind of file tells."""
    if array is None:
        return None
    if array.dtype.kind == "U" and array.ndim == 1:
        return array.tolist()
    if array.dtype == np.uint8:
        try:
            names = json.loads(array.tobytes())
        except (ValueError, RecursionError):
            names = None
        if isinstance(names, list) and all(isinstance(name, str) for name in names):
            return names
    raise DataError(f"{path} has no list of strings in its array {NAMES!r}.", "Write it again.")


def no_latents(path: str | Path, error: Exception) -> DataError:
    """The refusal of a file that cannot be read or whose arrays do not fit each other."""
    if not Path(path).is_file():
        return DataError(f"There is no file {path}.", "hvae encode writes one.")
    reason = getattr(error, "message", None) or str(error) or type(error).__name__
    return DataError(
        f"{path} cannot be read as latents: {reason.rstrip('.')}.",
        "Give a file that hvae encode or Latents.save wrote.",
    )
