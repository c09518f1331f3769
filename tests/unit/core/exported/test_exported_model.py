"""Export formats are open: a third party's runtime runs all verbs of an exported model."""

import json

import keras
import numpy as np
import pytest
from keras import ops

import hvae_core as hvae
from hvae_core.errors import BadInputError
from hvae_core.exporting import describe, write_folder
from hvae_core.inference.programs import Generate, Infer, graphs
from hvae_core.interfaces import Exporter
from hvae_core.plugins import ComponentSpec, hookimpl, manager

MODEL = {
    "resolutions": [4, 1],
    "image_channels": 1,
    "width": 4,
    "encoder_middle_width": 4,
    "decoder_middle_width": 4,
    "latent_width": 2,
    "encoder_blocks": 1,
    "decoder_blocks": [2, 1],
    "readout": {"kind": "features"},
}
RUNNING = {}


class Process(Exporter):
    """A "format" whose runtime is this process: its file names a graph that is kept in memory."""

    def __init__(self, options):
        self.options = options

    def check_output(self, output):
        pass

    def export(self, preset, output, precision):
        raise NotImplementedError

    def open(self, path, mode="latency", cache=True):
        graph = RUNNING[path.read_text()]

        def run(inputs, outputs):
            rows = len(inputs["images" if "images" in inputs else "noise_0"])
            found = _run(graph, inputs, rows)
            return [np.asarray(ops.convert_to_numpy(found[name])) for name in outputs]

        return run


def _run(graph, inputs, rows):
    def filled(spec):
        shape = [rows if size is None else size for size in spec.shape]
        return inputs.get(spec.name, np.full(shape, 0.5, spec.dtype))

    return graph.function(*(ops.convert_to_tensor(filled(spec)) for spec in graph.inputs))


class Plugin:
    __name__ = "process_exporter"

    @hookimpl
    def hvae_component(self):
        return ComponentSpec(
            kind="export", name="process", summary="Runs in this process", builder=Process
        )


@pytest.fixture
def model():
    return hvae.build({"model": MODEL, "likelihood": {"name": "logistic-mixture", "mixtures": 2}})


@pytest.fixture
def folder(model, tmp_path):
    def write(work):
        saved = []
        for graph in graphs(model):
            RUNNING[graph.name] = graph
            (work / graph.name).write_text(graph.name)
            saved.append((graph, graph.name, list(_run(graph, {}, 1))))
        return describe(model.config, model, saved, runtime="process", precision="float32")

    write_folder(tmp_path / "out", write)
    manager().register(Plugin())
    yield tmp_path / "out"
    manager().unregister("export", "process")


@pytest.mark.skipif(
    keras.config.backend() == "openvino", reason="compiles each operation of this process's format"
)
def test_all_verbs_are_the_live_model_s(model, folder):
    exported = hvae.load_exported(folder)
    images = model.sample(3, seed=1)
    np.testing.assert_array_equal(exported.sample(3, seed=1), images)
    for latents in (None, 0, 1, 3):
        np.testing.assert_array_equal(
            exported.reconstruct(images, latents=latents),
            model.reconstruct(images, latents=latents),
        )
    np.testing.assert_array_equal(
        exported.interpolate(images[0], images[1], steps=3),
        model.interpolate(images[0], images[1], steps=3),
    )
    np.testing.assert_array_equal(
        exported.decode(exported.encode(images)), exported.reconstruct(images)
    )
    for one, other in zip(exported.features(images), model.features(images), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(exported.elbo(images).elbo, model.elbo(images).elbo, rtol=1e-5)
    np.testing.assert_allclose(
        exported.log_likelihood(images, 3), model.log_likelihood(images, 3), rtol=1e-5
    )
    # With fresh weights posterior and prior are nearly one, and their KL is rounding.
    rng = np.random.default_rng(0)
    for variable in model.trainable_variables:
        value = ops.convert_to_numpy(variable.value)
        variable.assign(value + rng.normal(0, 0.5, value.shape).astype("f"))
    ours, theirs = exported.encode(images, layers=2), model.encode(images, layers=2)
    np.testing.assert_allclose(ours.kl_per_layer, theirs.kl_per_layer, rtol=1e-5)
    assert theirs.kl_per_layer.min() > 0.01


def test_a_program_computes_what_it_is_asked_for_and_nothing_else(model, folder):
    images = model.sample(2, seed=0)
    noise = [np.zeros((2, *shape), np.float32) for shape in model.latent_shapes]
    for engine in (model, hvae.load_exported(folder)):
        out = engine.run(
            Infer(("kl_per_layer", "latent"), layers=2), {"images": images, "noise": noise}
        )
        assert set(out) == {"kl_per_layer", "latent"}
        assert out["kl_per_layer"].shape == (2, 3)
        assert [z.shape[1:] for z in out["latent"]] == model.latent_shapes[:2]
        (mean,) = engine.run(Generate(("mean",)), {"noise": noise}).values()
        assert mean.shape == (2, 4, 4, 1)


def test_given_latents_are_used_as_they_are(model):
    rng = np.random.default_rng(0)
    noise = [rng.normal(size=(2, *shape)).astype("f") for shape in model.latent_shapes]
    zero = {"noise": noise, "temperature": np.float32(0.0)}
    drawn = model.run(Generate(("mean",)), zero)["mean"]
    given = model.run(Generate(("mean",)), {**zero, "given": np.ones(3, "f")})["mean"]
    assert np.abs(drawn - given).max() > 1e-3


def test_an_export_of_an_older_hvae_reconstructs_and_says_what_it_lacks(model, folder):
    manifest = folder / "manifest.json"
    values = json.loads(manifest.read_text())
    posterior = values["graphs"]["posterior"]
    old = ("latent_", "posterior_mean_", "standardised_")
    posterior["outputs"] = [
        name for name in posterior["outputs"] if name.startswith(old) or not name[-1].isdigit()
    ]
    manifest.write_text(json.dumps(values))
    exported = hvae.load_exported(folder)
    images = model.sample(2, seed=1)
    np.testing.assert_array_equal(exported.reconstruct(images), model.reconstruct(images))
    with pytest.raises(BadInputError, match=r"older hvae and lacks posterior_log_std, .*again"):
        exported.encode(images)
    with pytest.raises(BadInputError, match="older hvae and lacks features"):
        exported.features(images)


@pytest.mark.parametrize(
    ("runtime", "reason"),
    [
        ("openvnio", "no export named 'openvnio'"),
        ("openai-vdvae", "written, not run"),
        (3, "manifest.json: the runtime is 3; it must be the name"),
    ],
)
def test_a_runtime_that_cannot_run_is_a_sentence(folder, runtime, reason):
    manifest = folder / "manifest.json"
    values = json.loads(manifest.read_text())
    manifest.write_text(json.dumps({**values, "runtime": runtime}))
    with pytest.raises(BadInputError, match=reason):
        hvae.load_exported(folder).sample(1)
