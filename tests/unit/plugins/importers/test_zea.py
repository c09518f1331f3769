"""zea's folders: arguments, names, and what is refused."""

import argparse
import json
import os
import pickle
import shutil

import numpy as np
import pytest
from click.testing import CliRunner

from hvae_core.cli.main import cli
from hvae_core.config import parse_config
from hvae_core.errors import ConfigError, HvaeError, WeightsError
from hvae_core.model.network import HierarchicalNetwork
from hvae_core.weights import weight_names
from hvae_core.zoo import read_preset
from hvae_core.zoo.conversion import import_checkpoint
from hvae_plugins.importers.zea.keras_weights import from_zea, shapes
from hvae_plugins.importers.zea.namespace import read_namespace, translate

h5py = pytest.importorskip("h5py")


@pytest.fixture
def folder(tmp_path, fixtures_folder):
    """zea's three files, to be changed."""
    copy = tmp_path / "zea"
    shutil.copytree(fixtures_folder / "zea", copy)
    return copy


def arguments(folder, **changes):
    return {**read_namespace(folder / "args.pkl"), **changes}


def save_arguments(folder, values):
    (folder / "args.pkl").write_bytes(pickle.dumps(argparse.Namespace(**values)))


def refused(folder, output, error=HvaeError, **options):
    """The sentence with which an import is refused; nothing is written."""
    with pytest.raises(error) as caught:
        import_checkpoint("zea", folder, output, options=options)
    assert not output.exists()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_command_writes_a_preset(folder, tmp_path):
    output = tmp_path / "preset"
    words = ["import", "zea", str(folder), "--version", "lvh", "-o", str(output), "--json"]
    done = CliRunner().invoke(cli, words, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    # 26,378 of the original; transitions of equal widths and the latents' maps differ
    assert json.loads(done.output)["parameters"] > 25_000
    model = read_preset(output).config.model
    assert model.pool_order == "project-first"
    assert not model.readout.last_activation
    assert model.encoder_blocks == [1, 2, 0, 1, 1, 1]
    assert "--version" in CliRunner().invoke(cli, ["import", "zea", "--help"]).output


def test_one_value_stands_for_all_scales_and_a_start_may_be_zeros(folder):
    values = arguments(folder, z_width=[3], dataset="celeba64", init_zeros=True,
                       increase_kernelsize=True)  # fmt: skip
    for key in ("stage_in_width", "enc_middle_width", "dec_middle_width"):
        values[key] = [8]
    for key in ("enc_num_blocks", "dec_num_blocks"):
        values[key] = [1]
    model = parse_config(translate(values)).model
    assert model.resolutions == [64, 32, 16, 8, 4, 2, 1]
    assert [stage.latent_width for stage in model.stages] == [3] * 7
    assert model.top == "zeros"
    assert model.large_kernels is True


@pytest.mark.parametrize(
    "blocks",
    [
        [1, 0, 1, 1, 1, 1, 1, 0],  # a learned start, and no latent layer there
        [0, 0, 1, 1, 1, 0, 1, 2],  # the last layer is not at the finest scale
    ],
)
def test_images_of_one_channel_and_scales_without_layers(folder, blocks):
    """The arrays are those of our model, by name and shape; the mixture's coefficients go."""
    values = arguments(folder, dataset="echonet", dec_num_blocks=blocks, enc_num_blocks=[1])
    for key in ("stage_in_width", "enc_middle_width", "dec_middle_width", "z_width"):
        values[key] = [2]
    config = parse_config(translate(values))
    rng = np.random.default_rng(0)
    theirs = {
        name: rng.normal(size=shape).astype("float32") for name, shape in shapes(config).items()
    }
    assert theirs["decoder/last_conv/vars/1"].shape == (4 * 4,)
    ours = from_zea(theirs, config)
    network = HierarchicalNetwork(config.model, config.likelihood.build(config.model.image_shape))
    expected = {name: tuple(v.shape) for name, v in weight_names(network).items()}
    assert {name: array.shape for name, array in ours.items()} == expected
    assert ours["readout.out.bias"].shape == (3 * 4,)
    assert "decoder.bias.1" in ours


class Runs:
    def __reduce__(self):
        return os.system, ("echo run > /tmp/hvae-was-run",)


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (Runs(), "it has the instruction"),
        (argparse.Namespace(dataset=Runs()), "it has the instruction"),
        (argparse.Namespace(dataset=(1, 2)), "TUPLE2"),
        (argparse.Namespace(dataset=[[1]]), "'dataset' is no number"),
        (argparse.ArgumentParser, "argparse.ArgumentParser"),
        ({"dataset": "cifar10"}, "it holds a dict"),
        (argparse.Namespace(dataset="x" * (1 << 20)), "larger than"),
        (argparse.Namespace(dataset=b"x"), "SHORT_BINBYTES"),
    ],
)
def test_a_pickle_of_anything_else_is_refused_and_not_run(folder, tmp_path, content, named):
    (folder / "args.pkl").write_bytes(pickle.dumps(content))
    assert named in refused(folder, tmp_path / "out", ConfigError)
    assert not os.path.exists("/tmp/hvae-was-run")


@pytest.mark.parametrize("data", [b"", b"\x80\x04", b"not a pickle", b"\x80\x04."])
def test_a_damaged_pickle_is_refused(folder, tmp_path, data):
    (folder / "args.pkl").write_bytes(data)
    assert "args.pkl" in refused(folder, tmp_path / "out", ConfigError)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"flow_type": "sylvester"}, "flow_type is 'sylvester'"),
        ({"use_depthwise_attention": True}, "use_depthwise_attention is on"),
        ({"block_gn": True}, "block_gn is on"),
        ({"depthwise": True}, "depthwise is on"),
        ({"dataset": "mnist"}, "dataset is 'mnist'"),
        ({"z_width": [1, 2]}, "z_width has 2 values"),
        ({"b_act": "os.system"}, "model.block_activation is 'os.system'"),
        ({"output_blocks": -1}, "model.readout.blocks is -1"),
        ({"z_out_width": None}, "model.readout.width is empty"),
        ({"stage_in_width": float("inf")}, "model.width.0 is inf; expected a finite number"),
        ({"gradient_smoothing": float("nan")}, "model.softplus_beta is nan"),
        ({"num_output_mixtures": 10**400}, "likelihood: the option 'mixtures'"),
    ],
)
def test_networks_that_cannot_be_imported_are_named(folder, tmp_path, change, named):
    save_arguments(folder, arguments(folder, **change))
    assert named in refused(folder, tmp_path / "out", ConfigError)


def test_a_missing_argument_is_named(folder, tmp_path):
    values = arguments(folder)
    del values["z_out_width"]
    save_arguments(folder, values)
    assert "'z_out_width' is missing" in refused(folder, tmp_path / "out", ConfigError)


NAME = "decoder/z_to_features/vars/0"


def test_arrays_left_over_missing_or_misshapen_are_refused(folder, tmp_path):
    def changed(change):
        path = folder / "hvae_lvh.weights.h5"
        kept = path.read_bytes()
        with h5py.File(path, "r+") as file:
            change(file)
        text = refused(folder, tmp_path / "out", WeightsError)
        path.write_bytes(kept)
        return text

    assert "has, unexpectedly, 'more/vars/0'" in changed(
        lambda f: f.create_dataset("more/vars/0", data=np.zeros(3, "f"))
    )
    assert f"lacks '{NAME}'" in changed(lambda f: f.pop(NAME))

    def other(array):
        def change(file):
            del file[NAME]
            file[NAME] = array

        return change

    assert "has shape [1, 1, 8, 13]; expected [1, 1, 8, 14]" in changed(
        other(np.zeros((1, 1, 8, 13), "f"))
    )
    assert "no plain numbers" in changed(other(np.zeros((1, 1, 8, 14), "i")))
    assert f"lacks '{NAME}'" in changed(other(h5py.ExternalLink("/etc/passwd", "/x")))
    assert NAME not in changed(other(np.full((1, 1, 8, 14), np.nan, "f")))


def test_another_version_s_file_is_refused(folder, tmp_path):
    """Its arguments are not those of this one: the start is learned there, or it is not."""
    save_arguments(folder, arguments(folder, dec_num_blocks=[2, 1, 1, 0, 1, 1]))
    text = refused(folder, tmp_path / "out", WeightsError)
    assert "belongs to other arguments" in text or "has, unexpectedly" in text


def test_a_version_is_chosen_or_named(folder, tmp_path):
    out = tmp_path / "out"
    assert "no weights of version 'lhv'" in refused(folder, out, WeightsError, version="lhv")
    shutil.copyfile(folder / "hvae_lvh.weights.h5", folder / "hvae_lvh_ur24.weights.h5")
    (folder / "hvae_lvh.weights.h5").rename(folder / "hvae_other.weights.h5")
    assert "several versions" in refused(folder, out, WeightsError)
    import_checkpoint("zea", folder, out, options={"version": "lvh_ur24"})
    assert (out / "model.safetensors").is_file()


def test_a_version_that_looks_like_a_number_is_a_name(folder, tmp_path):
    (folder / "hvae_lvh.weights.h5").rename(folder / "hvae_2.weights.h5")
    words = ["import", "zea", str(folder), "-o", str(tmp_path / "out"), "--version"]
    with pytest.raises(WeightsError, match="no weights of version '1e3'"):
        CliRunner().invoke(cli, [*words, "1e3"], catch_exceptions=False)
    done = CliRunner().invoke(cli, [*words, "2"])
    assert done.exit_code == 0, done.output


def test_what_is_no_folder_of_zea_s(folder, tmp_path):
    out = tmp_path / "out"
    assert "expected a folder" in refused(folder / "args.pkl", out, WeightsError)
    (folder / "args.pkl").unlink()
    assert "Cannot read" in refused(folder, out, ConfigError)
    (folder / "hvae_lvh.weights.h5").write_bytes(b"no HDF5")
    shutil.copyfile(folder / "recorded.safetensors", folder / "hvae_x.weights.h5")
    assert "several versions" in refused(folder, out, WeightsError)
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "has no file hvae_VERSION" in refused(empty, out, WeightsError)
