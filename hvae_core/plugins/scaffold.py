"""A new third-party package with a component of any kind: what ``hvae plugins new`` writes."""

from __future__ import annotations

import re
import string
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

from hvae_core.errors import BadInputError, did_you_mean
from hvae_core.files.replacing import disk_errors, replacing_folder
from hvae_core.plugins.manager import manager
from hvae_core.plugins.specs import KINDS

NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_TRAIN = "hvae train digits-vdvae --set {} --set train.epochs=5 --output runs/$name"
#: kind: what a sentence calls it, what one written here does, and a command that uses it
ABOUT = {
    "block": ("residual block", "an activation before each convolution",
              _TRAIN.format("model.block.name=$name")),
    "flow": ("posterior flow", "each number of the latent is scaled and shifted by the context",
             _TRAIN.format("model.flow.name=$name")),
    "attention": ("attention", "a layer reads the sum of what the layers above it wrote",
                  _TRAIN.format("model.attention.name=$name")),
    "condition": ("condition", "classes in an order are embedded as waves of their number",
                  _TRAIN.format("model.condition.name=$name")),
    "prior": ("top prior", "the layers' priors know an image's mean",
              _TRAIN.format("model.prior.name=$name")),
    "likelihood": ("likelihood", "each value of a pixel has a probability of its own",
                   _TRAIN.format("likelihood={name: $name, levels: 17}")),
    "regularizer": ("regularizer", "the posteriors' means are kept small",
                    _TRAIN.format("regularizer.name=$name")),
    "dataset": ("data set", "grey stripes", _TRAIN.format("data.name=$name")),
    "measurement": ("measurement", "a disc in the middle of the image is known",
                    "hvae complete digits-vdvae --measurement $name -n 4 -o completed.png"),
    "optimizer": ("optimizer", "steps along the signs of the averaged gradient",
                  _TRAIN.format("train.optimizer.name=$name")),
    "schedule": ("learning-rate schedule", "the rate falls in stairs",
                 _TRAIN.format("train.schedule=$name")),
    "tracker": ("tracker", "lines of JSON in the run folder",
                _TRAIN.format("train.trackers=[$name]")),
    "preset": ("set of presets", "a small model of digits",
               "hvae train $name-small --output runs/$name"),
    "export": ("export format", "the weights as an .npz",
               "hvae export digits-vdvae -o weights.npz --format $name"),
    "import": ("import format", "the weights in an .npz, under hvae's names",
               "hvae import $name weights.npz --config digits-vdvae -o ./mine"),
    "command": ("command", "it says how far a run is", "hvae $name runs/mine"),
}  # fmt: skip
#: kinds that `hvae plugins check` has a contract for
CHECKED = tuple(kind for kind in KINDS if kind not in ("preset", "export", "import", "command"))


def new_package(name: str, parent: Path, kind: str = "flow") -> Path:
    """Write a complete package with a component that passes its tests as written.

    Args:
        name: the component's name, such as ``radial``.
        parent: the folder in which ``hvae-<name>-<kind>`` is made (``hvae-<name>``, if the name
            ends with its kind).
        kind: one of `KINDS`.

    Returns:
        The package's folder.

    Raises:
        BadInputError: there is no such kind, the name is malformed or taken, or the folder exists.
        HvaeError: it cannot be written; nothing is left behind.
    """
    if kind not in KINDS:
        raise BadInputError(f"There is no kind {kind!r}.", did_you_mean(kind, KINDS))
    title, does, use = ABOUT[kind]
    if not NAME.fullmatch(name):
        raise BadInputError(
            f"{name!r} cannot name a {kind}; expected lower-case letters, digits and single "
            "dashes.",
            "Choose a name such as radial or neural-spline.",
        )
    if name in manager().names(kind):
        owner = manager().find(kind, name).distribution
        raise BadInputError(f"The {kind} {name!r} exists: {owner} has it.", "Choose another name.")
    distribution = f"hvae-{name}" if name.endswith(f"-{kind}") else f"hvae-{name}-{kind}"
    words = {
        "name": name,
        "kind": kind,
        "title": title,
        "does": does,
        "identifier": name.replace("-", "_"),
        "distribution": distribution,
        "module": distribution.replace("-", "_"),
        "class_": "".join(part.capitalize() for part in name.split("-")),
        "check": f"hvae plugins {'check' if kind in CHECKED else 'show'} {kind}.{name}",
    }
    words["use"] = fill(use, words)
    target = parent / distribution
    if target.exists():
        raise BadInputError(f"{target} exists already.", "Choose another name or folder.")
    with (
        disk_errors(f"write {target}", "Choose another folder."),
        replacing_folder(target) as work,
    ):
        for place, text in _files(kind):
            path = work / fill(place, words)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(fill(text, words), encoding="utf-8")
    return target


def _files(kind: str) -> Iterator[tuple[str, str]]:
    """Where each file of a package goes, and the template of its text."""
    places = {
        "pyproject.toml.txt": "pyproject.toml",
        "README.md.txt": "README.md",
        f"{kind}.test.py.txt": "tests/test_$identifier.py",
        f"{kind}.preset.yaml.txt": "$module/presets/$name-small/preset.yaml",
    }
    for template in (resources.files("hvae_core.plugins") / "template").iterdir():
        own = template.name.startswith(f"{kind}.")
        if own or template.name in places:
            inside = template.name.removeprefix(f"{kind}.").removesuffix(".txt")
            place = places.get(template.name, f"$module/{inside}")
            yield place, template.read_text(encoding="utf-8")


def fill(text: str, words: dict[str, str]) -> str:
    """``text`` with its ``$words`` replaced; ``$class_`` ends at its underscore."""
    return string.Template(text.replace("$class_", "${class_}")).substitute(words)
