"""What the user's ``keras.json`` says changes no number and no dtype of a model."""

import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import keras_json_program
import pytest

pytestmark = pytest.mark.every_backend


def figures_where_keras_json_is_odd(folder: Path) -> dict[str, list[float]]:
    settings = {"image_data_format": "channels_first", "floatx": "float16", "epsilon": 1e-4}
    (folder / "keras.json").write_text(json.dumps(settings))
    environment = {
        **os.environ, "KERAS_HOME": str(folder), "KERAS_BACKEND": keras.config.backend()
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, keras_json_program.__file__],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.skipif(keras.config.backend() != "torch", reason="how Keras reads its file")
def test_keras_json_changes_nothing(tmp_path):
    assert keras.config.image_data_format() == "channels_last"
    assert keras.config.floatx() == "float32"
    found = figures_where_keras_json_is_odd(tmp_path)
    for name, expected in keras_json_program.figures().items():
        assert found[name] == pytest.approx(expected, rel=1e-6), name


def test_settings_of_the_process_change_nothing_and_stay(make_model, images):
    """The same where a program has set them itself."""
    usual = make_model()
    before = keras.config.dtype_policy()
    keras.config.set_image_data_format("channels_first")
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = make_model()
        assert keras.config.image_data_format() == "channels_first"
        assert keras.config.dtype_policy().name == "mixed_float16"
        assert model.dtype_policy.name == "float32"
        assert model.encoder.compute_dtype == model.encoder.variable_dtype == "float32"
        assert model.elbo(images).elbo.tolist() == usual.elbo(images).elbo.tolist()
        assert (model.predict(images, verbose=0) == usual.predict(images, verbose=0)).all()
    finally:
        keras.config.set_image_data_format("channels_last")
        keras.config.set_dtype_policy(before)
