"""Import formats are open: a third party's importer is found, run and offered like ours."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

import hvae_core as hvae
from hvae_core.cli.main import cli
from hvae_core.errors import PluginError, WeightsError
from hvae_core.importing import find_importer, formats_that_describe
from hvae_core.interfaces import Imported, Importer
from hvae_core.plugins import ComponentSpec, hookimpl, manager
from hvae_core.zoo import find_preset
from hvae_core.zoo.conversion import import_checkpoint

MODEL = {
    "resolutions": [2, 1],
    "image_channels": 1,
    "width": 2,
    "encoder_middle_width": 2,
    "decoder_middle_width": 2,
    "latent_width": 1,
    "encoder_blocks": 1,
    "decoder_blocks": 1,
    "readout": {"kind": "features"},
}


class NumPyImporter(Importer):
    """Weights in an ``.npz`` under our own names."""

    def __init__(self, options):
        self.options = options

    def read(self, checkpoint, config, known):
        from hvae_core.config import parse_config

        if checkpoint.suffix != ".npz":
            raise WeightsError(f"{checkpoint} is no .npz file.", "Give one.")
        with np.load(checkpoint) as archive:
            arrays = {name: archive[name] for name in archive}
        chosen = parse_config({"model": MODEL, "likelihood": {"name": "bernoulli"}})
        return Imported(chosen, arrays, f"From {checkpoint.name}.")

    def describes(self, config):
        return config.likelihood.name == "bernoulli"


class Plugin:
    __name__ = "numpy_importer"

    @hookimpl
    def hvae_component(self):
        return ComponentSpec(
            kind="import", name="numpy", summary="Weights in an .npz", builder=NumPyImporter
        )


@pytest.fixture
def importer():
    manager().register(Plugin())
    yield
    manager().unregister("import", "numpy")


@pytest.fixture
def checkpoint(tmp_path):
    from hvae_core.weights import model_arrays

    model = hvae.build({"model": MODEL, "likelihood": {"name": "bernoulli"}})
    path = tmp_path / "weights.npz"
    np.savez(path, **model_arrays(model))
    return path, model


@pytest.mark.usefixtures("importer")
def test_a_third_party_s_checkpoint_becomes_a_preset_that_loads(checkpoint, tmp_path):
    path, model = checkpoint
    preset = import_checkpoint("numpy", path, tmp_path / "mine")
    assert preset.info["notes"] == "From weights.npz."
    images = model.sample(2, seed=0)
    np.testing.assert_array_equal(hvae.load(tmp_path / "mine").sample(2, seed=0), images)


@pytest.mark.usefixtures("importer")
@pytest.mark.parametrize("fault", ["missing", "unexpected", "of another shape"])
def test_weights_that_do_not_fit_their_configuration_make_no_preset(checkpoint, tmp_path, fault):
    with np.load(checkpoint[0]) as archive:
        arrays = dict(archive)
    first = next(iter(arrays))
    if fault == "missing":
        del arrays[first]
    else:
        arrays["more" if fault == "unexpected" else first] = np.zeros((1, 2, 3), "float32")
    np.savez(tmp_path / "wrong.npz", **arrays)
    with pytest.raises(WeightsError, match=f"wrong.npz does not fit the model: 1 {fault}"):
        import_checkpoint("numpy", tmp_path / "wrong.npz", tmp_path / "mine")
    assert not (tmp_path / "mine").exists()


@pytest.mark.usefixtures("importer")
def test_a_checkpoint_that_is_not_there_is_told_before_the_importer_is_asked(tmp_path):
    with pytest.raises(WeightsError, match=r"There is no file .*a\.npz"):
        import_checkpoint("numpy", tmp_path / "a.npz", tmp_path / "mine")


@pytest.mark.usefixtures("importer")
def test_its_command_is_there_and_its_error_is_a_sentence(checkpoint, tmp_path):
    runner = CliRunner()
    assert "numpy" in runner.invoke(cli, ["import", "--help"]).output
    arguments = ["import", "numpy", str(checkpoint[0]), "-o", str(tmp_path / "out"), "--json"]
    done = runner.invoke(cli, arguments)
    assert json.loads(done.output)["parameters"] == checkpoint[1].count_params()
    wrong = runner.invoke(cli, ["import", "numpy", "a.th", "-o", str(tmp_path / "no")])
    assert isinstance(wrong.exception, WeightsError)
    assert not (tmp_path / "no").exists()


@pytest.mark.usefixtures("importer")
def test_a_preset_without_weights_is_told_which_checkpoints_it_could_hold():
    names = formats_that_describe(find_preset("mnist-vdvae").config)
    assert names == ["numpy"]
    assert formats_that_describe(find_preset("openai-cifar10").config) == ["openai-vdvae"]


@pytest.mark.parametrize("where", ["builder", "describes"])
@pytest.mark.parametrize("error", [RuntimeError("no luck"), SystemExit(3), TypeError()])
def test_a_format_that_fails_describes_nothing_and_is_told_of(where, error, monkeypatch):
    def fail(*_):
        raise error

    class Failing:
        __name__ = "failing_importer"

        @hookimpl
        def hvae_component(self):
            builder = fail if where == "builder" else NumPyImporter
            return ComponentSpec(kind="import", name="failing", summary="", builder=builder)

    monkeypatch.setattr(NumPyImporter, "describes", fail)
    manager().register(Failing())
    try:
        names = formats_that_describe(find_preset("openai-cifar10").config)
        entry = manager().find("import", "failing")
        assert (names, entry.status) == (["openai-vdvae"], "broken")
        assert entry.reason == repr(error)
    finally:
        manager().unregister("import", "failing")


def test_an_unknown_format_is_refused():
    with pytest.raises(PluginError, match="openai-vdave"):
        find_importer("openai-vdave")
