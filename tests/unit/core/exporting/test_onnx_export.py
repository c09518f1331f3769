import numpy as np
import pytest
from export_cases import (
    MODEL,
    assert_all_the_same,
    assert_completes_the_same,
    assert_conditional_the_same,
    assert_native_samples,
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
    """Of one block at each place, of each kind: tracing takes long."""
    model = random_model(decoder_blocks=1, readout={**MODEL["readout"], "blocks": 0})
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
        if precision == "int8":
            _has_a_scale_for_each_output_channel(proto.graph)
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


def _has_a_scale_for_each_output_channel(graph):
    stored = {tensor.name: tensor.dims for tensor in graph.initializer}
    from_whole = {node.output[0]: node for node in graph.node if node.op_type == "DequantizeLinear"}
    convolutions = 0
    for node in graph.node:
        if node.op_type == "Conv" and node.input[1] in from_whole:
            back = from_whole[node.input[1]]
            shape = stored[back.input[0]]
            assert [attribute.i for attribute in back.attribute] == [0]
            assert list(stored[back.input[1]]) == [shape[0]]
            convolutions += shape[2:] == [3, 3]
    assert convolutions


#: One scale, no encoder blocks: tracing takes long.
SMALL = {"encoder_blocks": 0, "no_bias_above": 0, "readout": {"kind": "features"}}


def test_completion_of_floats_with_a_condition_goes_through_a_graph(tmp_path):
    """Of images that are no squares, at another size than the model was built for."""
    label = {"name": "label", "classes": 3, "width": 4, "dropout": 0.1}
    parts = {"measurement": "columns:0.5,fill=0", "input_channels": 3, "condition": label}
    shape = {"resolutions": [[6, 4]], "decoder_blocks": 2, "image_channels": 2}
    model = random_model("student-t", {"dtype": "float32"}, **parts, **shape, **SMALL)
    model = model.at_size(12, 8)
    high = model.image_values.high
    images = np.random.default_rng(0).uniform(0, high, (3, 12, 8, 2)).astype("float32")
    report = model.export(tmp_path / "out", format="onnx")
    assert report["largest_difference"] < 1e-2
    assert "bits_per_dim" not in report
    exported, condition = load_exported(tmp_path / "out"), np.arange(len(images)) % 3
    assert_native_samples(exported, model)
    assert_completes_the_same(exported, model, images, condition)
    assert_conditional_the_same(exported, model, images, condition)
