import numpy as np
import pytest
from export_cases import (
    assert_all_the_same,
    assert_completes_the_same,
    assert_conditional_the_same,
    assert_native,
    random_model,
)

from hvae_core.exported.exported_model import load_exported

pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")
keras = pytest.importorskip("keras")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(keras.config.backend() != "torch", reason="exports from PyTorch"),
]


def test_onnxruntime_computes_what_the_model_computes(images, tmp_path):
    model = random_model()
    report = model.export(tmp_path / "out", format="onnx")
    assert report["largest_difference"] < 1e-2
    assert_all_the_same(load_exported(tmp_path / "out"), model, images)
    _smaller_weights(tmp_path, report)


def _smaller_weights(folder, report):
    """Compress the files that are there: tracing takes long."""
    import onnx

    from hvae_plugins.exporters.onnx.graph_files import compress_weights

    for precision, tolerance in (("float16", 1e-3), ("int8", 1e-2)):
        proto = onnx.load(folder / "out" / "posterior.onnx")
        before = proto.ByteSize()
        compress_weights(proto.graph, precision)
        onnx.checker.check_model(proto)
        assert proto.ByteSize() < before
        (folder / precision).mkdir()
        for name in ("manifest.json", "generator.onnx"):
            (folder / precision / name).write_bytes((folder / "out" / name).read_bytes())
        onnx.save(proto, folder / precision / "posterior.onnx")
        manifest = {**load_exported(folder / "out").manifest, "files": {}}
        exported = load_exported(folder / precision, manifest=manifest)
        images = load_exported(folder / "out").sample(4)
        expected = load_exported(folder / "out").elbo(images).elbo
        assert exported.elbo(images).elbo == pytest.approx(expected, rel=tolerance)


@pytest.mark.parametrize(
    ("dtype", "likelihood"), [("uint16", "discretized-gaussian"), ("float32", "student-t")]
)
def test_native_values_of_any_shape_go_through_a_graph(tmp_path, dtype, likelihood):
    """Of images that are no squares, at another size than the model was built for."""
    one_layer = {"resolutions": [[6, 4]], "encoder_blocks": 0, "decoder_blocks": 1}
    one_layer["no_bias_above"] = 0
    readout = {"kind": "features"}
    values = {"dtype": dtype}
    model = random_model(likelihood, values, image_channels=2, readout=readout, **one_layer)
    model = model.at_size(24, 16)
    high = model.image_values.high
    images = np.random.default_rng(0).uniform(0, high, (3, 24, 16, 2)).astype(dtype)
    report = model.export(tmp_path / "out", format="onnx")
    assert ("bits_per_dim" in report) == (dtype == "uint16")
    assert_native(load_exported(tmp_path / "out"), model, images)


def test_completion_with_a_condition_goes_through_a_graph(images, tmp_path):
    """Of two layers of one scale: tracing takes long."""
    small = {"resolutions": [4], "encoder_blocks": 0, "decoder_blocks": 2}
    readout = {"kind": "features"}
    label = {"name": "label", "classes": 3, "width": 4, "dropout": 0.1}
    parts = {"measurement": "columns:0.5,fill=0", "input_channels": 4, "condition": label}
    model = random_model(**parts, readout=readout, **small)
    report = model.export(tmp_path / "out", format="onnx")
    assert report["largest_difference"] < 1e-2
    exported, condition = load_exported(tmp_path / "out"), np.arange(len(images)) % 3
    assert_completes_the_same(exported, model, images, condition)
    assert_conditional_the_same(exported, model, images, condition)
