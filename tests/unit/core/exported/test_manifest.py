"""The manifest of an export folder: taken if a runner can go by it, else refused in a sentence."""

import copy
import hashlib
import json

import pytest

from hvae_core.errors import BadInputError
from hvae_core.exported.exported_model import ExportedModel, load_exported
from hvae_core.exported.manifest import check_graph, read_manifest

FILES = {"generator.xml": b"<g/>", "generator.bin": b"weights", "posterior.xml": b"<p/>"}
SOUND = {
    "format": "hvae-export",
    "version": 1,
    "runtime": "openvino",
    "image_shape": [4, 4, 1],
    "latent_shapes": [[1, 1, 2], [4, 4, 2]],
    "image_values": {"dtype": "uint16", "low": 0.0, "high": 4095.0, "unit": ""},
    "likelihood": {"name": "logistic-mixture", "unit": "bits/dim", "noise_channels": 3},
    "graphs": {
        "generator": {"file": "generator.xml", "outputs": ["images"]},
        "posterior": {"file": "posterior.xml", "outputs": ["latent_0"]},
    },
    "config": {},
    "files": {
        name: {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        for name, content in FILES.items()
    },
}


@pytest.fixture
def folder(tmp_path):
    for name, content in FILES.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "manifest.json").write_text(json.dumps(SOUND))
    return tmp_path


def test_a_sound_one_is_taken(folder):
    assert read_manifest(folder) == SOUND
    assert isinstance(load_exported(folder), ExportedModel)


RECORD = {"size": 4, "sha256": "0" * 64}
BAD = {
    "runtime": [3, None, ["openvino"]],
    "image_shape": [None, 3, "444", [4, 4], [4, 4, 1.5], [0, 4, 1], [4, 4, True], [10**9] * 3],
    "latent_shapes": [None, [], {}, [[4, 4]], [[4, 4, -1]], [3], ["abc"]],
    "image_values": [3, {}, {"dtype": "uint8"},
                     {"dtype": ["uint8"], "low": 0, "high": 1, "unit": ""},
                     {"dtype": "uint8", "low": 1, "high": 0, "unit": ""},
                     {"dtype": "float32", "low": 0, "high": float("inf"), "unit": ""},
                     {"dtype": "float32", "low": 0, "high": 10**400, "unit": ""},
                     {"dtype": "uint8", "low": 0, "high": 256, "unit": ""},
                     {"dtype": "uint8", "low": 0, "high": 10.5, "unit": ""},
                     {"dtype": "uint16", "low": 1, "high": 255, "unit": ""},
                     {"dtype": "float32", "low": 0, "high": 1, "unit": "\x1b[2J"}],
    "condition": [3, {}, {"form": "class", "size": 1, "names": ["a", "b"], "dropout": 0.0},
                  {"form": "class", "size": 1, "names": [], "dropout": 10**400},
                  {"form": "class", "size": 1, "names": [], "dropout": True},
                  *({"form": "numbers", "size": 1, "names": [], "dropout": 0, "typical": typical}
                    for typical in (None, [], [1, 2], ["a"], [10**400]))],
    "likelihood": [None, "nats", {}, {"name": "x", "unit": "cm", "noise_channels": 1},
                   {"name": "x", "unit": "nats", "noise_channels": -1}],
    "config": [None, [], "x"],
    "graphs": [None, [], {}, {"generator": {}}],
    "graphs.generator": [None, {"file": ["x"], "outputs": []}, {"file": "none", "outputs": []},
                         {"file": "../manifest.json", "outputs": []},
                         {"file": "generator.xml", "outputs": [1]}],
    "graphs.posterior.outputs": [None, "latent_0", [None]],
    "files": [None, ["generator.xml"], {"generator.xml": 4}, {"generator.xml": {"size": "4"}},
              {"generator.xml": {"size": 4}}, {"../x": RECORD}, {"/etc/hostname": RECORD},
              {"..": RECORD}, {"a\\b": RECORD}, {"a\0": RECORD}, {"": RECORD}],
}  # fmt: skip


@pytest.mark.parametrize("key", BAD)
def test_what_no_runner_can_go_by_is_refused(folder, key):
    *path, last = key.split(".")
    for value in BAD[key]:
        manifest = copy.deepcopy(SOUND)
        target = manifest
        for part in path:
            target = target[part]
        target[last] = value
        (folder / "manifest.json").write_text(json.dumps(manifest))
        with pytest.raises(BadInputError, match=rf"manifest.json: .*{path[0] if path else key}"):
            read_manifest(folder)
        if not path and key not in ("image_values", "condition"):  # which not all exports have
            del manifest[key]
            (folder / "manifest.json").write_text(json.dumps(manifest))
            with pytest.raises(BadInputError, match=f"lacks {key}"):
                read_manifest(folder)


def test_weights_that_lie_beside_a_graph_of_onnx_are_checked_too(tmp_path):
    """Above 1 GiB; the name is that of the graph and one more word."""
    names = ("generator.onnx", "generator.onnx.data")
    digest = hashlib.sha256(b"weights").hexdigest()
    manifest = {
        "graphs": {"generator": {"file": names[0]}},
        "files": {name: {"size": 7, "sha256": digest} for name in names},
    }
    for name in names:
        (tmp_path / name).write_bytes(b"weights")
    assert check_graph(tmp_path, manifest, "generator") == tmp_path / names[0]
    (tmp_path / names[1]).write_bytes(b"wEights")
    with pytest.raises(BadInputError, match=r"generator.onnx.data is damaged"):
        check_graph(tmp_path, manifest, "generator")


@pytest.mark.parametrize("name", FILES)
def test_one_flipped_bit_is_damage(folder, name):
    content = bytearray((folder / name).read_bytes())
    content[1] ^= 1
    (folder / name).write_bytes(content)
    graph = name.partition(".")[0]
    other = {"generator": "posterior", "posterior": "generator"}[graph]
    manifest = read_manifest(folder)  # of the same size
    with pytest.raises(BadInputError, match=rf"{name} is damaged"):
        check_graph(folder, manifest, graph)
    assert check_graph(folder, manifest, other) == folder / f"{other}.xml"
