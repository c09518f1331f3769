"""What a source is exported as, whatever it is called."""

import pytest
from export_cases import random_model

from hvae_core.exporting import exporting
from hvae_core.zoo import find_preset

#: a run's or an output's name, and the preset's that is written for the export alone
NAMES = [("my-run.1", "my-run.1"), ("my run", "model"), ("läuft", "model"), ("a" * 150, "model")]


@pytest.fixture(scope="module")
def model():
    return random_model()


@pytest.mark.parametrize(("name", "expected"), NAMES)
def test_a_run_of_any_name(model, tmp_path, monkeypatch, name, expected):
    weights = find_preset(model.save(tmp_path / "saved")).weights_path
    monkeypatch.setattr(exporting, "is_run_folder", lambda source: True)
    monkeypatch.setattr(exporting, "find_source", lambda source: (model.config, weights))
    (tmp_path / "temporary").mkdir()
    preset = exporting.as_preset(tmp_path / name, tmp_path / "temporary")
    assert preset.name == expected
    assert preset.weights_path.is_file()


@pytest.mark.parametrize(("name", "expected"), [*NAMES, ("..", "model")])
def test_a_live_model_to_any_output(model, monkeypatch, name, expected):
    monkeypatch.setattr(exporting, "check_export", lambda output, format, precision: None)
    monkeypatch.setattr(
        exporting, "export_source", lambda source, output, *_: (find_preset(source).name, output)
    )
    assert exporting.export_model(model, f"outputs/{name}", "onnx") == (
        expected.removesuffix(".1"), f"outputs/{name}",
    )  # fmt: skip
