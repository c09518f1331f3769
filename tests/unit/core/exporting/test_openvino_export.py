import json
import os
import subprocess
import sys
from importlib.util import find_spec

import numpy as np
import pytest
from export_cases import (
    assert_all_the_same,
    assert_completes_the_same,
    assert_conditional_the_same,
    assert_native,
    assert_the_same,
    random_model,
)

from hvae_core.errors import BadInputError, HvaeError, PluginError
from hvae_core.exported import is_export_folder
from hvae_core.exported.exported_model import load_exported

openvino = pytest.importorskip("openvino")
keras = pytest.importorskip("keras")
pytestmark = [
    pytest.mark.every_backend,
    pytest.mark.skipif(keras.config.backend() != "openvino", reason="runs on openvino"),
]

FLOWS = {
    "sylvester": {"name": "sylvester", "flows": [1, 1], "orthogonal_vectors": 2},
    "conv-sylvester": {
        "name": "conv-sylvester", "scales": [True, False], "channels": 4, "terms": 9, "levels": 1,
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def model():
    return random_model()


@pytest.fixture(scope="module")
def folder(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("exports") / "plain"
    report = model.export(folder)
    assert report["largest_difference"] < 1e-2
    return folder


def test_it_computes_what_the_model_computes(model, folder, images):
    assert is_export_folder(folder)
    assert_all_the_same(load_exported(folder), model, images)


def test_native_values_of_any_shape_go_through_a_graph(tmp_path):
    """Of images that are no squares, at another size than the model was built for."""
    shape = {"resolutions": [[12, 8], [6, 2]], "image_channels": 2, "no_bias_above": 0}
    model = random_model("noise-model", {"dtype": "uint16", "bits": 12}, **shape).at_size(24, 16)
    images = np.random.default_rng(0).integers(0, 4096, (3, 24, 16, 2), dtype=np.uint16)
    model.export(tmp_path / "out")
    assert_native(load_exported(tmp_path / "out"), model, images)


def test_completion_with_a_condition_goes_through_a_graph(images, tmp_path):
    label = {"name": "label", "classes": 3, "width": 4, "dropout": 0.1}
    model = random_model(measurement="columns:0.5,fill=0", input_channels=4, condition=label)
    model.export(tmp_path / "out")
    exported, condition = load_exported(tmp_path / "out"), np.arange(len(images)) % 3
    assert_completes_the_same(exported, model, images, condition)
    assert_conditional_the_same(exported, model, images, condition)


#: a small model with a top prior
WITH_PRIOR = {
    "prior": {"name": "diffusion-vampprior", "size": 2, "steps": 1, "width": 4, "blocks": 1},
    "resolutions": [4], "encoder_blocks": 0, "decoder_blocks": 1, "readout": {"kind": "features"},
}  # fmt: skip


def test_a_top_prior_is_exported_with_its_bound_and_its_draws(images, tmp_path):
    model = random_model(**WITH_PRIOR)
    model.export(tmp_path / "out")
    exported = load_exported(tmp_path / "out")
    ours, theirs = exported.elbo(images, seed=3), model.elbo(images, seed=3)
    np.testing.assert_allclose(ours.kl_per_layer, theirs.kl_per_layer, rtol=1e-4, atol=1e-4)
    drawn, expected = (one.sample(4, [0.5, 0.7], 1) for one in (exported, model))
    assert (drawn != expected).mean() < 0.01
    weights = (one.log_likelihood(images, 2) for one in (exported, model))
    np.testing.assert_allclose(*weights, rtol=1e-4)


def test_a_top_prior_under_a_condition_goes_through_a_graph(images, tmp_path):
    label = {"name": "label", "classes": 3, "width": 4, "dropout": 0.1}
    model = random_model(condition=label, **WITH_PRIOR)
    model.export(tmp_path / "out")
    exported = load_exported(tmp_path / "out")
    assert_conditional_the_same(exported, model, images, np.arange(len(images)) % 3)


def test_encoding_fewer_layers_is_a_smaller_program(folder):
    from hvae_core.exported.openvino_runtime import part

    whole = openvino.Core().read_model(folder / "posterior.xml")
    sizes = [len(part(whole, [f"latent_{layer}"]).get_ops()) for layer in range(3)]
    sizes.append(len(part(whole, ["latent_2", "reconstruction"]).get_ops()))
    assert sizes == sorted(set(sizes))


@pytest.mark.parametrize("flow", FLOWS)
def test_flows_are_exported(flow, images, tmp_path):
    model = random_model(flow=FLOWS[flow])
    model.export(tmp_path / "out")
    assert_the_same(load_exported(tmp_path / "out", cache=False), model, images, 1e-4)


@pytest.mark.parametrize("rows", [1, 7])
def test_dividing_a_batch_among_the_cores_changes_nothing(model, folder, rows, monkeypatch):
    monkeypatch.setattr("hvae_core.exported.openvino_runtime.cores", lambda: 4)
    exported = load_exported(folder, mode="throughput")
    images = exported.sample(rows, seed=1, batch_size=rows)
    assert (images != model.sample(rows, seed=1)).mean() < 0.01


def test_smaller_weights_cost_little(model, images, tmp_path, folder):
    def size(folder):
        return sum(path.stat().st_size for path in folder.glob("*.bin"))

    reference = model.elbo(images).elbo
    sizes = [size(folder)]
    for precision, tolerance in (("float16", 1e-3), ("int8", 1e-2)):
        if precision == "int8" and not find_spec("nncf"):  # which is not to be loaded here
            pytest.skip("needs nncf")
        report = model.export(tmp_path / precision, precision=precision)
        assert report["precision"] == precision
        assert report["elbo"] == pytest.approx(report["elbo_of_the_model"], rel=tolerance)
        exported = load_exported(tmp_path / precision, cache=False)
        np.testing.assert_allclose(exported.elbo(images).elbo, reference, rtol=tolerance)
        sizes.append(size(tmp_path / precision))
    assert sizes == sorted(sizes, reverse=True)
    assert "nncf" not in sys.modules  # a process of its own has it


def small_graph():
    """One product with weights."""
    opset = openvino.opset16
    given = opset.parameter([-1, 64], np.float32, name="given")
    given.output(0).get_tensor().set_names({"given"})
    weights = opset.constant(np.linspace(-1, 1, 4096, dtype=np.float32).reshape(64, 64))
    product = opset.matmul(given, weights, False, True)
    product.output(0).get_tensor().set_names({"product"})
    return openvino.Model([opset.result(product)], [given], "small")


def test_a_process_that_exported_int8_ends_as_it_should_on_sigterm():
    if not find_spec("nncf"):
        pytest.skip("needs nncf")
    code = """
import importlib.util, os, signal, sys, threading, time
for name in ("torch", "tensorflow", "jax"):  # one that trains beside it
    if importlib.util.find_spec(name):
        __import__(name)
        break
from hvae_core.training.interruption import Interruption
from hvae_plugins.exporters.openvino.int8 import with_int8_weights
from test_openvino_export import small_graph
smaller = with_int8_weights(small_graph())
assert [one.any_name for one in (*smaller.inputs, *smaller.outputs)] == ["given", "product"]
assert "i8" in {op.get_output_element_type(0).get_type_name() for op in smaller.get_ops()}
assert "nncf" not in sys.modules
threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGTERM)).start()
try:
    with Interruption() as interruption:
        for _ in interruption.watch(range(10_000)):
            time.sleep(0.01)
except KeyboardInterrupt:
    sys.exit(130)
"""
    path = os.pathsep.join([os.path.dirname(__file__), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", code], capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": path},
    )  # fmt: skip
    assert done.returncode == 130, done.stderr


def test_what_nncf_cannot_do_is_one_sentence(model, tmp_path, monkeypatch):
    from hvae_plugins.exporters.openvino import int8

    fails = "import sys; sys.exit('Traceback (most recent call last):\\nValueError: no such mode')"
    command = int8.subprocess.run
    monkeypatch.setattr(
        int8.subprocess,
        "run",
        lambda words, **options: command([words[0], "-c", fails], **options),
    )
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name)
    with pytest.raises(HvaeError, match=r"nncf could not store .*: ValueError: no such mode\. "):
        model.export(tmp_path / "out", precision="int8")
    assert list(tmp_path.iterdir()) == []


def test_the_manifest_says_what_is_there(folder, model):
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["latent_shapes"] == [list(shape) for shape in model.latent_shapes]
    generator = manifest["graphs"]["generator"]
    assert [entry["name"] for entry in generator["inputs"]][-3:] == [
        "given", "temperature", "pixels",
    ]  # fmt: skip
    assert generator["inputs"][0]["shape"] == [None, *model.latent_shapes[0]]
    assert generator["outputs"] == ["images", "mean"]
    assert set(manifest["files"]) == {
        "generator.bin", "generator.xml", "posterior.bin", "posterior.xml",
    }  # fmt: skip
    assert manifest["figures"]["images"] > 0


def test_the_command_line_runs_it_without_keras(folder, tmp_path):
    code = (
        "import sys\nfrom hvae_core.cli.main import main\n"
        f"try: main(['sample', {str(folder)!r}, '-n', '2', '-o', {str(tmp_path / 'a.npz')!r}])\n"
        "except SystemExit as left: assert left.code == 0, left.code\n"
        "bad = {'keras', 'tensorflow', 'jax', 'torch', 'pydantic'} & set(sys.modules)\n"
        "assert not bad, bad"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=dict(os.environ)
    )
    assert done.returncode == 0, done.stderr
    with np.load(tmp_path / "a.npz") as archive:
        np.testing.assert_array_equal(archive["images"], load_exported(folder).sample(2))


def test_what_stands_in_the_way_is_told_and_kept(model, tmp_path):
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(BadInputError, match="holds other files"):
        model.export(tmp_path)
    with pytest.raises(BadInputError, match="it is a file"):
        model.export(tmp_path / "letter.txt")
    with pytest.raises(BadInputError, match="no precision 'int4'"):
        model.export(tmp_path / "new", precision="int4")
    with pytest.raises(PluginError, match="no export named 'onxx'"):
        model.export(tmp_path / "new", format="onxx")
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]
