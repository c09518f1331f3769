import json
from pathlib import Path

import pytest

from hvae_core.errors import BadInputError
from hvae_core.exported.exported_model import load_exported
from hvae_core.exported.manifest import MANIFEST, read_manifest
from hvae_core.exporting import check_output, write_folder

FACTS = {
    "format": "hvae-export", "version": 1, "image_shape": [4, 4, 1], "latent_shapes": [[1, 1, 2]],
    "likelihood": {"name": "bernoulli", "unit": "nats", "noise_channels": 1},
    "runtime": "openvino", "config": {},
    "graphs": {name: {"file": "graph.bin", "outputs": []} for name in ("generator", "posterior")},
}  # fmt: skip


def write(folder):
    (folder / "graph.bin").write_bytes(b"weights")
    return FACTS


def test_files_are_recorded_and_an_older_export_is_replaced(tmp_path):
    target = tmp_path / "out"
    for _ in range(2):
        manifest = write_folder(target, write)
        assert read_manifest(target) == manifest
    assert manifest["files"]["graph.bin"]["size"] == 7
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_failure_leaves_the_older_export(tmp_path):
    write_folder(tmp_path / "out", write)

    def fail(folder):
        (folder / "half").write_bytes(b"")
        raise RuntimeError

    with pytest.raises(RuntimeError):
        write_folder(tmp_path / "out", fail)
    assert read_manifest(tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_damage_is_told(tmp_path):
    target = tmp_path / "out"
    write_folder(target, write)
    with pytest.raises(BadInputError, match="latency or throughput"):
        load_exported(target, mode="fast")
    (target / "graph.bin").write_bytes(b"wei")
    with pytest.raises(BadInputError, match=r"graph\.bin is missing or not of the recorded size"):
        load_exported(target)
    for content, sentence in (
        ("{", "is not valid JSON"),
        ("{}", "is no manifest"),
        (json.dumps({**FACTS, "version": 2}), "is of version 2"),
        (json.dumps(FACTS), "lacks files"),
    ):
        (target / MANIFEST).write_text(content)
        with pytest.raises(BadInputError, match=sentence):
            load_exported(target)
    with pytest.raises(BadInputError, match="Cannot read"):
        load_exported(tmp_path)


def test_the_current_folder_is_refused_at_once(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadInputError, match=r"place of \.: it is the current folder") as caught:
        check_output(Path("."))
    assert caught.value.hint == "Name one that is not there yet, such as NAME"
