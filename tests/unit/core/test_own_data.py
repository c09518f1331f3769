"""Models trained and measured on images held by Python objects."""

import numpy as np
import pytest

pytest.importorskip("sklearn")

from sklearn.datasets import load_digits

import hvae_core as hvae
from hvae_core.cli.main import main
from hvae_core.errors import BadInputError, ConfigError, DataError
from hvae_core.weights import read_tensors

DIGITS = load_digits()
IMAGES = np.rint(DIGITS.images * (255 / 16)).astype(np.uint8)[:400, ..., None]
LABELS = DIGITS.target[:400]
SMALL = (
    *("width=4", "encoder_middle_width=4", "decoder_middle_width=4", "latent_width=2"),
    *("encoder_blocks=1", "decoder_blocks=1"),
)
OVERRIDES = [
    *(f"model.{text}" for text in SMALL),
    *("train.epochs=null", "train.steps=4", "train.batch_size=64", "train.checkpoint_steps=2"),
    *("train.sample_epochs=0", "train.tensorboard=false", "train.report=false"),
]


def train(folder, dataset=None, *more, **options):
    overrides = [*OVERRIDES, *more]
    return hvae.train("digits-vdvae", folder, dataset=dataset, overrides=overrides, **options)


def weights(folder, step=4):
    return read_tensors(folder / "checkpoints" / f"step-{step:08d}" / "model.safetensors")


def command(*words):
    with pytest.raises(SystemExit) as left:
        main([str(word) for word in words])
    return left.value.code


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "own"
    train(folder, {"train": IMAGES, "test": IMAGES[:50]})
    return folder


def test_a_run_on_an_array_has_its_images_and_can_be_used(run, tmp_path):
    text = (run / "config.yaml").read_text()
    assert "name: python" in text
    assert "sha256:" in text
    model = hvae.load(run)
    assert model.sample(2).shape == (2, 8, 8, 1)
    preset = model.save(tmp_path / "preset")
    assert hvae.load(preset).config.data.name == "python"
    card = (preset / "README.md").read_text()
    assert "own images: the 400 train and 50 test images (8x8x1) of a numpy.ndarray." in card
    assert command("sample", preset, "-n", "1", "-o", tmp_path / "one.png") == 0


def test_a_killed_run_goes_on_with_the_same_images_to_the_same_numbers(run, tmp_path):
    train(tmp_path / "killed", IMAGES, "train.steps=2")
    # The same pixels, whatever holds them.
    torch = pytest.importorskip("torch")
    again = torch.utils.data.TensorDataset(torch.from_numpy(IMAGES))
    train(tmp_path / "killed", again, resume=True)
    whole = tmp_path / "whole"
    train(whole, (IMAGES, LABELS))
    for left, right in ((whole, run), (tmp_path / "killed", run)):
        for name, value in weights(left).items():
            np.testing.assert_allclose(value, weights(right)[name], atol=1e-6)


def test_other_images_do_not_go_on_with_a_run(run, tmp_path):
    with pytest.raises(ConfigError, match=r"with the 400 train and 50 test images .* other ones"):
        train(run, 255 - IMAGES, "train.steps=6", resume=True)
    with pytest.raises(ConfigError, match=r"not with the data set 'digits'\. Give the same images"):
        train(run, None, "train.steps=6", resume=True)
    with pytest.raises(DataError, match=r"held by a Python object.*resume=True, dataset=images"):
        hvae.train(run, run, resume=True)
    named = tmp_path / "named"
    train(named, "digits", "train.steps=1")
    with pytest.raises(ConfigError, match="started with the data set 'digits'"):
        train(named, IMAGES, resume=True)


def test_evaluation_takes_what_training_takes(run):
    model = hvae.load(run)
    figures = hvae.evaluate(model, IMAGES[:20])
    assert (figures["images"], figures["split"]) == (20, "test")
    assert figures["elbo"] == pytest.approx(model.elbo(IMAGES[:20]).elbo.mean(), rel=1e-5)
    for same in (
        (IMAGES[:20], LABELS[:20]),
        {"train": IMAGES, "test": list(IMAGES[:20] / 255)},
        iter(IMAGES[:20]),
    ):
        assert hvae.evaluate(model, dataset=same)["elbo"] == figures["elbo"]
    assert hvae.evaluate(model, "digits", limit=3)["images"] == 3
    with pytest.raises(BadInputError, match="no split 'test'"):
        hvae.evaluate(model, {"train": IMAGES})
    with pytest.raises(DataError, match="dataset is of type object"):
        hvae.evaluate(model, object())
    with pytest.raises(DataError, match=r"the model needs images \[B, 8, 8, 1\]"):
        hvae.evaluate(model, IMAGES[:, :4])


def test_the_command_says_what_to_do_without_the_images(run, capsys):
    assert command("evaluate", run) == 2
    assert "held by a Python object" in capsys.readouterr().err
    assert command("evaluate", run, "--dataset", "digits", "--limit", "2") == 0


def test_an_array_may_stand_as_data_in_plain_values(tmp_path):
    config = {"model": hvae.load("digits-vdvae").config.model.model_dump(mode="json")}
    hvae.train(
        {**config, "data": IMAGES}, tmp_path / "run", overrides=[*OVERRIDES, "train.steps=1"]
    )
    assert "numpy.ndarray" in (tmp_path / "run" / "config.yaml").read_text()
    with pytest.raises(ConfigError, match=r"data: expected the name of a dataset.*dataset=images"):
        hvae.build({**config, "data": IMAGES})


def test_the_report_shows_the_images_given(tmp_path):
    pytest.importorskip("matplotlib")
    train(tmp_path / "run", IMAGES, "train.steps=1", "train.report=true", "train.sample_epochs=1")
    page = (tmp_path / "run" / "report.html").read_text()
    assert "What each scale holds" in page
    assert "held by a Python object" not in page


class Items:
    def __len__(self):
        return len(IMAGES)

    def __getitem__(self, index):
        return {"image": IMAGES[index], "label": LABELS[index]}


def torch_dataset():
    torch = pytest.importorskip("torch")
    return torch.utils.data.TensorDataset(torch.from_numpy(IMAGES) / 255, torch.tensor(LABELS))


def tf_dataset():
    data = pytest.importorskip("tensorflow").data
    return data.Dataset.from_tensor_slices((IMAGES, LABELS)).batch(32)


def py_dataset():
    import keras

    class Batched(keras.utils.PyDataset):
        def __len__(self):
            return 4

        def __getitem__(self, index):
            chosen = slice(100 * index, 100 * index + 100)
            return IMAGES[chosen], LABELS[chosen]

    return Batched()


def hugging_face():
    rows = {"image": [image[..., 0] for image in IMAGES], "label": LABELS}
    module = pytest.importorskip("datasets")
    features = module.Features(image=module.Image(), label=module.Value("int64"))
    return module.Dataset.from_dict(rows, features)


@pytest.mark.parametrize(
    "make",
    [
        Items,
        torch_dataset,
        pytest.param(tf_dataset, marks=pytest.mark.every_backend),
        py_dataset,
        lambda: pytest.importorskip("grain").MapDataset.source(IMAGES),
        hugging_face,
        lambda: (IMAGES, LABELS),
    ],
    ids=["items", "torch", "tf.data", "PyDataset", "grain", "datasets", "pair"],
)
def test_every_kind_of_object_is_trained_on(make, tmp_path):
    result = train(tmp_path / "run", make(), "train.steps=1")
    assert result.steps == 1
    assert result.metrics["images"] == 40
