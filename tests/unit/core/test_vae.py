"""A model copied, pickled, cloned and saved is the same model; and what it says of itself."""

import copy
import pickle
import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import ops

import hvae_core as hvae
from hvae_core.errors import BadInputError, ConfigError, PresetError, WeightsError
from hvae_core.vae import HierarchicalVAE

pytestmark = pytest.mark.every_backend


@pytest.fixture(scope="module")
def model(make_model):
    return make_model()


def arrays(model):
    return {v.path: ops.convert_to_numpy(v.value) for v in model.weights}


def assert_same_weights(one, other):
    found = arrays(other)
    for name, array in arrays(one).items():
        np.testing.assert_array_equal(array, found[name])


def assert_same(one, other, images):
    assert_same_weights(one, other)
    np.testing.assert_array_equal(one.reconstruct(images), other.reconstruct(images))


def by_file(model, tmp_path):
    path = model.save(tmp_path / "new" / "x.keras")
    assert [entry.name for entry in path.parent.iterdir()] == ["x.keras"]
    return keras.saving.load_model(path)


@pytest.mark.parametrize(
    "way",
    [
        by_file,
        lambda model, _: copy.deepcopy(model),
        lambda model, _: pickle.loads(pickle.dumps(model)),
        lambda model, tmp_path: hvae.load(model.save(tmp_path / "x.keras")),
    ],
    ids=["keras-file", "deepcopy", "pickle", "hvae-load"],
)
def test_a_copy_is_the_same(model, images, tmp_path, way):
    other = way(model, tmp_path)
    assert type(other) is HierarchicalVAE
    assert other is not model
    assert other.config == model.config
    assert_same(model, other, images)


def test_every_part_of_the_rich_model_goes_through_a_file(make_model, tmp_path):
    rich = {"flow": "conv-sylvester", "attention": "davi", "resolutions": [8, 4, 2]}
    model = make_model(model=rich)
    assert_same_weights(model, by_file(model, tmp_path))


def test_a_clone_has_fresh_weights_and_the_configuration(make_model):
    model = make_model(random_weights=False)
    start = arrays(model)
    first = model.decoder.weights[0]
    first.assign(np.ones(first.shape, "float32"))
    model.encoder.trainable = False
    for clone in (
        keras.models.clone_model(model),
        HierarchicalVAE.from_config(model.get_config()),
    ):
        assert clone.config == model.config
        found = arrays(clone)
        for name, array in start.items():
            np.testing.assert_array_equal(found[name], array)
        assert [v.path for v in clone.trainable_variables] == [
            v.path for v in model.trainable_variables
        ]
        assert not clone.encoder.trainable


def test_a_file_goes_on_with_fit(make_model, images, tmp_path):
    """Optimizer and noise are kept: two updates, saved between or not, are the same."""
    models = []
    small = {"resolutions": [4, 1], "patch_size": 2, "encoder_blocks": 0, "decoder_blocks": 1}
    for saved in (False, True):
        model = make_model(model=small)
        optimizer = keras.optimizers.SGD(1e-2, momentum=0.9)
        model.compile(optimizer)
        for _ in range(2):
            model.fit(images, verbose=0, shuffle=False)
            model = by_file(model, tmp_path / str(saved)) if saved else model
        models.append(model)
    assert_same_weights(*models)


def test_a_half_precision_model_is_loaded_in_full(make_model, images, tmp_path):
    train = {"batch_size": 4, "steps": 10, "precision": "mixed_bfloat16"}
    path = make_model(train=train).save(tmp_path / "x.keras")
    assert keras.saving.load_model(path).precision == "mixed_bfloat16"
    loaded = hvae.load(path)
    assert loaded.precision == "float32"
    assert loaded.encoder.compute_dtype == "float32"


@pytest.mark.parametrize("name", ["x.h5", "x.hdf5", "x.safetensors", "x.weights.h5"])
def test_other_libraries_files_are_refused(model, tmp_path, name):
    with pytest.raises(BadInputError, match=r"not saved as \.\w+: .*x.* folder.*\.keras"):
        model.save(tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_another_preset_is_not_replaced_unasked(make_model, tmp_path):
    first, second = make_model(), make_model(random_weights=False)
    folder = first.save(tmp_path / "preset")
    first.save(folder)  # its own, once more
    before = (folder / "model.safetensors").read_bytes()
    with pytest.raises(PresetError, match=r"holds a preset already.*force=True"):
        second.save(folder)
    assert (folder / "model.safetensors").read_bytes() == before
    second.save(folder, force=True)
    assert (folder / "model.safetensors").read_bytes() != before
    with pytest.raises(PresetError, match="holds a preset already"):
        hvae.load(folder).save(folder)


@pytest.mark.parametrize("precision", ["banana", "mixed_float16"])
def test_a_model_is_loaded_in_a_precision_that_there_is(model, tmp_path, precision):
    sentence = rf"precision is '{precision}'; expected float32 or mixed_bfloat16\."
    for path in (tmp_path / "preset", tmp_path / "x.keras"):
        with pytest.raises(ConfigError, match=sentence):
            hvae.load(model.save(path, force=True), precision=precision)


def test_a_file_that_is_no_model_of_ours_is_told(tmp_path):
    with pytest.raises(BadInputError, match="There is no file"):
        hvae.load(tmp_path / "none.keras")
    (tmp_path / "bad.keras").write_bytes(b"no zip")
    with pytest.raises(WeightsError, match=r"bad\.keras cannot be read"):
        hvae.load(tmp_path / "bad.keras")
    other = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    other.save(tmp_path / "other.keras")
    whole = (tmp_path / "other.keras").read_bytes()
    place = (
        whole.index(b"config.json") + 100
    )  # within the data of the first file, whose sum is kept
    flipped = bytes([whole[place] ^ 1])
    (tmp_path / "bad.keras").write_bytes(whole[:place] + flipped + whole[place + 1 :])
    with pytest.raises(WeightsError, match=r"bad\.keras cannot be read"):
        hvae.load(tmp_path / "bad.keras")
    with pytest.raises(BadInputError, match="no model of hvae"):
        hvae.load(tmp_path / "other.keras")


@pytest.mark.skipif(keras.config.backend() != "torch", reason="a file says nothing of a backend")
def test_a_new_process_opens_the_file(model, tmp_path):
    path = model.save(tmp_path / "x.keras")
    code = (
        "import sys, keras; from hvae import HierarchicalVAE\n"
        "model = keras.saving.load_model(sys.argv[1], safe_mode=True)\n"
        "assert isinstance(model, HierarchicalVAE); print(model.count_params())"
    )
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.splitlines()[-1]) == model.count_params()


def test_what_a_model_says_of_itself(make_model, tmp_path):
    model = make_model()
    count = f"{model.count_params():,}"
    text = repr(model)
    assert "images: 8 x 8 x 1" in text
    assert "latent layers: 4 (1 of 1 x 1 x 2, 1 of 4 x 4 x 2, 2 of 8 x 8 x 2)" in text
    assert f"parameters: {count};" in text
    assert keras.config.backend() in text
    model.encoder.trainable = False
    assert f"({model.encoder.count_params():,} frozen)" in repr(model)
    folder = model.save(tmp_path / "<preset>", info={"name": "p"})
    page = hvae.load(folder)._repr_html_()
    assert page.startswith("<table>")
    assert "&lt;preset&gt;" in page
    assert count in page
