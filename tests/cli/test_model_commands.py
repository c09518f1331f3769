"""The commands that need weights, on a tiny preset of their own."""

import dataclasses
import json
import shutil

import numpy as np
import pytest
from PIL import Image

import hvae_core as hvae
from hvae_core.cli.main import main

pytest.importorskip("sklearn")

CONFIG = {
    "model": {
        "resolutions": [8, 1],
        "image_channels": 1,
        "width": 8,
        "encoder_middle_width": 4,
        "decoder_middle_width": 4,
        "latent_width": 2,
        "encoder_blocks": 1,
        "decoder_blocks": 1,
        "readout": {"kind": "features"},
    },
    "likelihood": {"name": "logistic-mixture", "mixtures": 2, "levels": 17},
    "data": "digits",
}


@pytest.fixture(scope="module")
def preset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("zoo") / "tiny"
    hvae.build(CONFIG).save(folder)
    return str(folder)


def run(capsys, *arguments):
    with pytest.raises(SystemExit) as left:
        main([str(a) for a in arguments])
    captured = capsys.readouterr()
    assert left.value.code == 0, captured.err
    return captured.out


@pytest.mark.every_backend
def test_sample_is_what_python_samples(preset, capsys, tmp_path):
    out = run(capsys, "sample", preset, "-n", 5, "--seed", 3, "-o", tmp_path / "a.npz", "--json")
    assert json.loads(out)["images"] == 5
    with np.load(tmp_path / "a.npz") as archive:
        np.testing.assert_array_equal(archive["images"], hvae.load(preset).sample(5, seed=3))
    run(capsys, "sample", preset, "-n", 4, "-o", tmp_path / "grid.png")
    assert Image.open(tmp_path / "grid.png").size[0] >= 16


@pytest.mark.every_backend
def test_evaluate(preset, capsys):
    out = json.loads(run(capsys, "evaluate", preset, "--limit", 40, "--json"))
    assert out["images"] == 40
    assert out["bits_per_dim"] > 1.0
    text = run(capsys, "evaluate", preset, "--limit", 40, "--importance-samples", 2)
    assert f"{out['bits_per_dim']:.4f}" in text
    assert "importance-weighted, 2 draws" in text


@pytest.mark.parametrize("options", [(), ("--measurement", "columns:4", "--draws", 2)])
def test_evaluate_names_the_preset_as_it_is(preset, capsys, tmp_path, monkeypatch, options):
    shutil.copytree(preset, tmp_path / "p[/x]")
    monkeypatch.chdir(tmp_path)
    assert "./p[/x] on Optical" in run(capsys, "evaluate", "./p[/x]", "--limit", 2, *options)


def test_evaluate_keeps_each_image_s_bounds(preset, capsys, tmp_path):
    file = tmp_path / "bounds.json"
    options = ("--limit", 4, "--importance-samples", 2, "--bounds", file, "--json")
    figures = json.loads(run(capsys, "evaluate", preset, *options))
    content = json.loads(file.read_text())
    kept = content["importance_weighted"]
    assert np.mean(kept) == pytest.approx(figures["importance_weighted"], rel=1e-6)
    file.write_text(json.dumps({**content, "importance_weighted": [1.0, *kept[1:]]}))
    again = json.loads(run(capsys, "evaluate", preset, *options))  # none is computed again
    assert again["importance_weighted"] == pytest.approx(np.mean([1.0, *kept[1:]]), rel=1e-6)


@pytest.mark.every_backend
def test_reconstruct_files_and_data(preset, capsys, tmp_path):
    photo = tmp_path / "photo.png"
    Image.fromarray(np.full((20, 30, 3), 99, np.uint8)).save(photo)
    run(capsys, "reconstruct", preset, "--images", photo, "-o", tmp_path / "r.npz")
    with np.load(tmp_path / "r.npz") as archive:
        assert archive["images"].shape == (1, 8, 8, 1)
    run(capsys, "reconstruct", preset, "--count", 3, "--latents", 1, "-o", tmp_path / "r.png")
    assert (tmp_path / "r.png").is_file()


def test_of_a_small_data_set_all_images_are_taken(preset, capsys, tmp_path):
    np.save(tmp_path / "few.npy", np.full((3, 8, 8), 99, np.uint8))
    few = ("--dataset", "arrays", "--set", f"data.files.test={tmp_path / 'few.npy'}")
    out = run(capsys, "reconstruct", preset, *few, "-o", tmp_path / "r.npz", "--json")
    assert json.loads(out)["images"] == 3
    with pytest.raises(SystemExit):
        main(["reconstruct", preset, *few, "--count", "5", "-o", str(tmp_path / "s.npz")])
    assert "--count is 5; the split 'test' has 3 images" in capsys.readouterr().err


@pytest.mark.every_backend
def test_encode_and_decode_are_reconstruct(preset, capsys, tmp_path):
    chosen = ["--count", 3, "--seed", 4]
    run(capsys, "reconstruct", preset, *chosen, "-o", tmp_path / "r.npz")
    for file in (tmp_path / "z.safetensors", tmp_path / "z.npz"):
        out = run(capsys, "encode", preset, *chosen, "-o", file, "--json")
        told = json.loads(out)
        assert told["shapes"] == [[1, 1, 2], [8, 8, 2]]
        assert len(told["kl_per_layer"]) == 2
        assert hvae.Latents.load(file).names == [f"test image {number}" for number in range(3)]
        run(capsys, "decode", preset, file, "--seed", 4, "-o", tmp_path / "d.npz")
        with np.load(tmp_path / "r.npz") as ours, np.load(tmp_path / "d.npz") as theirs:
            np.testing.assert_array_equal(ours["images"], theirs["images"])


def test_encode_files_folders_and_arrays(preset, capsys, tmp_path):
    (tmp_path / "photos").mkdir()
    for name in ("a.png", "b.png"):
        Image.fromarray(np.full((20, 30, 3), 99, np.uint8)).save(tmp_path / "photos" / name)
    np.savez(tmp_path / "x.npz", images=np.zeros((3, 8, 8, 1), np.uint8))
    file = tmp_path / "z.safetensors"
    images = [tmp_path / "photos", tmp_path / "photos" / "a.png", tmp_path / "x.npz"]
    given = [word for path in images for word in ("--images", path)]
    out = run(capsys, "encode", preset, *given, "--layers", 1, "--mean", "-o", file)
    assert out == f"{file}: images 6, latent layers 1\n"
    latents = hvae.Latents.load(file)
    np.testing.assert_array_equal(latents.z[0], latents.posterior_mean[0])
    a, b, stack = images[0] / "a.png", images[0] / "b.png", images[2]
    names = [a, b, a, f"{stack}[0]", f"{stack}[1]", f"{stack}[2]"]
    assert latents.names == [str(name) for name in names]
    out = run(capsys, "decode", preset, file, "--pixels", "mode", "-o", tmp_path / "d", "--json")
    assert json.loads(out) == {"output": str(tmp_path / "d"), "images": 6, "layers": 1}
    assert len(list((tmp_path / "d").glob("*.png"))) == 6


@pytest.mark.every_backend
def test_interpolate(preset, capsys, tmp_path):
    run(capsys, "interpolate", preset, "--steps", 3, "-o", tmp_path / "i.npz")
    with np.load(tmp_path / "i.npz") as archive:
        assert archive["images"].shape == (3, 8, 8, 1)


def test_interpolate_images_of_12_bits(capsys, tmp_path):
    images = np.random.default_rng(0).integers(0, 4096, (4, 8, 8, 1)).astype(np.uint16)
    np.save(tmp_path / "a.npy", images)
    data = {"name": "arrays", "files": str(tmp_path / "a.npy")}
    likelihood = {"name": "discretized-gaussian"}
    data["values"] = {"dtype": "uint16", "bits": 12}
    model = hvae.build({**CONFIG, "likelihood": likelihood, "data": data})
    model.save(tmp_path / "m")
    ends = ("--first", 2, "--second", 0, "--split", "train")
    run(capsys, "interpolate", tmp_path / "m", *ends, "--steps", 2, "-o", tmp_path / "i.npz")
    train = model.config.data.build().load("train").batch([2, 0])
    expected = model.interpolate(*train, steps=2)
    np.testing.assert_array_equal(arrays(tmp_path / "i.npz").reshape(2, 8, 8, 1), expected)


def own_weights(model):
    """The model, far from its start, so that what its encoder sees changes what it draws."""
    rng = np.random.default_rng(0)
    for weight in model.trainable_variables:
        weight.assign(weight + rng.normal(0, 0.2, weight.shape).astype("f"))
    return model


@pytest.fixture(scope="module")
def of_columns(tmp_path_factory):
    """A preset whose encoder sees columns and which they are."""
    seen = {"measurement": "columns:0.5", "model": {**CONFIG["model"], "input_channels": 2}}
    model = own_weights(hvae.build({**CONFIG, **seen}))
    return str(model.save(tmp_path_factory.mktemp("zoo") / "columns"))


#: the commands that encode images: what the model has for it, and further words
ENCODING = {
    "encode": ({}, ()),
    "encode --keep": ({}, ("--keep", 0.5)),
    "reconstruct": ({}, ()),
    "interpolate": ({}, ("--steps", 2)),
    "counterfactual": ({"condition": "label"}, ("--condition", 3, "--own", 5)),
    "counterfactual of the likeliest": ({"condition": "label"}, ("--condition", 3)),
    "denoise": ({"likelihood": "noise-model"}, ("-n", 2, "--draws", 2)),
    "complete": ({}, ("-n", 2)),
}


@pytest.mark.parametrize("channels", [2, 1], ids=["with the mask", "without the mask"])
@pytest.mark.parametrize("verb", ENCODING)
def test_commands_measure_for_a_model_that_was_trained_on_measurements(
    verb, channels, capsys, tmp_path
):
    from hvae_core.data.measuring import measured

    (has, words), command = ENCODING[verb], verb.partition(" ")[0]
    config = {**CONFIG, "measurement": "columns:0.5"}
    config["model"] = {**CONFIG["model"], "input_channels": channels}
    config["likelihood"] = has.get("likelihood", CONFIG["likelihood"])
    if "condition" in has:
        config["model"]["condition"] = {"name": "label", "classes": 10}
    model = own_weights(hvae.build(config))
    model.save(tmp_path / "m")
    images = model.config.data.build().load("test").batch(range(3))
    y, mask = measured(model.measurement, images, range(3), 4)
    inputs = model.encoder_inputs(y, mask)
    if command == "interpolate":
        chosen = ("--seed", 4)
    elif "likeliest" in verb:
        np.save(tmp_path / "x.npy", images)
        chosen = ("--images", tmp_path / "x.npy", "--seed", 4)
    else:
        chosen = ("--count", 3, "--seed", 4)
    out = tmp_path / "out.npz"
    run(capsys, command, tmp_path / "m", *chosen, *words, "-o", out)
    if command == "encode":
        expected = model.encode(images, seed=4, inputs=inputs).posterior_mean[0]
        found = hvae.Latents.load(out).posterior_mean[0]
    elif command == "reconstruct":
        expected, found = model.reconstruct(images, seed=4, inputs=inputs), arrays(out)
    elif command == "interpolate":
        expected = model.interpolate(*images[:2], steps=2, seed=4, inputs=inputs[:2])
        found = arrays(out)
    elif command == "counterfactual":
        own = 5 if "--own" in words else None
        expected = model.counterfactual(images, 3, own=own, seed=4, inputs=inputs)
        found = arrays(out)
    elif command == "denoise":
        expected = model.denoise(images, 2, seed=4, inputs=inputs).draws
        found = arrays(out, "draws")
    else:
        np.testing.assert_array_equal(arrays(out, "measured"), y)
        expected = model.posterior_sample(y, mask, 2, seed=4).images
        found = arrays(out, "draws")
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_images_that_cannot_be_measured_are_refused(of_columns, capsys, tmp_path):
    Image.new("L", (20, 20), 99).save(tmp_path / "large.png")
    large = ("--images", tmp_path / "large.png", "--tile", 8)
    for command in ("encode", "reconstruct"):
        with pytest.raises(SystemExit) as left:
            main([command, of_columns, *map(str, large)])
        assert left.value.code == 2
        assert "8x8, and these are of 20x20, which cannot be" in capsys.readouterr().err


def test_a_file_that_does_not_say_which_layers_can_be_pruned_serves_as_statistics(capsys, tmp_path):
    """Such as an older hvae's, or an export's."""
    flow = {"name": "planar", "scales": [True, False]}
    hvae.build({**CONFIG, "model": {**CONFIG["model"], "flow": flow}}).save(tmp_path / "flow")
    run(capsys, "encode", tmp_path / "flow", "--count", 3, "-o", tmp_path / "all.npz")
    known = hvae.Latents.load(tmp_path / "all.npz")
    assert not all(known.prunable)
    dataclasses.replace(known, prunable=None).save(tmp_path / "older.npz")
    for name in ("all", "older"):
        chosen = ("--keep", 0.5, "--statistics", tmp_path / f"{name}.npz", "--count", 3)
        run(capsys, "encode", tmp_path / "flow", *chosen, "-o", tmp_path / f"{name}-pruned.npz")
    one, other = (hvae.Latents.load(tmp_path / f"{n}-pruned.npz").kept for n in ("all", "older"))
    for mask, same, is_prunable in zip(one, other, known.prunable, strict=True):
        np.testing.assert_array_equal(mask, same)
        assert mask.all() or is_prunable
    assert not all(mask.all() for mask in one)


def test_complete_goes_on_from_measurements_of_the_user_s(of_columns, capsys, tmp_path):
    options, first = ("-n", 3, "--seed", 4), tmp_path / "first.npz"
    run(capsys, "complete", of_columns, *options, "--count", 2, "-o", first)
    mine, again = tmp_path / "mine.npz", tmp_path / "again.npz"
    y, mask = arrays(first, "measured"), arrays(first, "mask")
    holes = np.where(mask[..., None], y, 99).astype(np.uint8)  # the model's fill is another
    np.savez(mine, measured=holes, mask=mask)
    words = ("complete", of_columns, "--measured", mine, *options)
    told = json.loads(run(capsys, *words, "-o", again, "--json"))
    assert told == {"output": str(again), "images": 2, "draws": 3, "known": 0.5}
    np.testing.assert_array_equal(arrays(again, "draws"), arrays(first, "draws"))
    np.testing.assert_array_equal(arrays(again, "measured"), holes)
    with np.load(again) as archive:
        assert "images" not in archive.files
    run(capsys, *words, "--keep-known", "-o", tmp_path / "a.png")
    assert Image.open(tmp_path / "a.png").width == 6 * 64 + 5 * 2  # without the truth


def test_what_was_not_measured_may_be_no_number(of_columns, preset, capsys, tmp_path):
    y = np.random.default_rng(0).integers(0, 17, (2, 8, 8, 1)).astype(np.float32)
    mask = np.zeros((8, 8), bool)
    mask[:, ::2] = True
    fill = hvae.load(of_columns).fill
    for name, unknown in (("filled", fill), ("nan", np.nan)):
        given = np.where(mask[..., None], y, np.float32(unknown))
        np.savez(tmp_path / f"{name}.npz", measured=given, mask=mask)
        run(capsys, "complete", of_columns, "--measured", tmp_path / f"{name}.npz", "-n", 2,
            "-o", tmp_path / f"{name}-drawn.npz")  # fmt: skip
    for member in ("measured", "draws"):
        filled, nan = (arrays(tmp_path / f"{name}-drawn.npz", member) for name in ("filled", "nan"))
        np.testing.assert_array_equal(nan, filled)
    y[0, 0, 0] = np.nan  # a measured pixel
    np.savez(tmp_path / "known.npz", measured=y, mask=mask)
    for source, name in ((of_columns, "known"), (preset, "nan")):  # the second has no fill
        with pytest.raises(SystemExit) as left:
            main(["complete", source, "--measured", str(tmp_path / f"{name}.npz")])
        assert left.value.code == 2
        assert "y holds float32 values that are not whole numbers" in capsys.readouterr().err


def test_measurements_may_be_whole_numbers_of_another_type(of_columns, capsys, tmp_path):
    """As a grid too, which has native values."""
    y = np.random.default_rng(0).integers(0, 17, (2, 8, 8, 1)).astype(np.float64)
    np.savez(tmp_path / "scan.npz", measured=y, mask=np.ones((8, 8), int))
    words = ("complete", of_columns, "--measured", tmp_path / "scan.npz", "-n", 2)
    run(capsys, *words, "-o", tmp_path / "a.png")
    assert Image.open(tmp_path / "a.png").width == 5 * 64 + 4 * 2
    told = json.loads(run(capsys, *words, "-o", tmp_path / "a.npz", "--json"))
    assert told["known"] == 1
    kept = arrays(tmp_path / "a.npz", "measured")
    assert kept.dtype == np.uint8
    np.testing.assert_array_equal(kept, y)
    assert arrays(tmp_path / "a.npz", "mask").shape == (2, 8, 8)


def test_whoever_completes_with_an_encoder_of_whole_images_is_warned(
    preset, of_columns, capsys, tmp_path
):
    for source, warned in ((preset, True), (of_columns, False)):
        with pytest.raises(SystemExit) as left:
            main(["complete", source, "--measurement", "columns:4", "--count", "1", "-n", "1",
                  "-o", str(tmp_path / "a.npz")])  # fmt: skip
        assert left.value.code == 0
        assert ("encoder was trained on whole images" in capsys.readouterr().err) == warned


def test_measurements_that_cannot_be_completed(of_columns, conditional, preset, capsys, tmp_path):
    y, mask = np.zeros((2, 8, 8, 1), np.uint8), np.ones((8, 8), bool)
    np.savez(tmp_path / "a.npz", measured=y, mask=mask)
    np.savez(tmp_path / "b.npz", measured=y)
    np.savez(tmp_path / "c.npz", measured=y[:, :4], mask=mask)
    np.savez(tmp_path / "d.npz", measured=y, mask=mask[:4])
    (tmp_path / "e.npz").write_bytes(b"no archive")
    for source, name, more, sentence in (
        (preset, "a", ["--images", "x.png"], "--images is given, but --measured has"),
        (preset, "a", ["--count", "2"], "--count is given, but --measured has"),
        (preset, "a", ["--measurement", "columns:2"], "--measurement is given, but --measured"),
        (preset, "b", [], "b.npz has no array mask; it has measured"),
        (preset, "c", [], "[2, 4, 8, 1]"),
        (preset, "d", [], "mask has shape [4, 8]; expected [2, 8, 8], or [8, 8]"),
        (preset, "e", [], "e.npz cannot be read"),
        (preset, "f", [], "f.npz is missing"),
        (conditional, "a", [], "The model is conditional"),
    ):
        with pytest.raises(SystemExit) as left:
            main(["complete", source, "--measured", str(tmp_path / f"{name}.npz"), *more])
        assert left.value.code == 2
        assert sentence in " ".join(capsys.readouterr().err.split())


def test_json_has_no_infinity(preset, capsys, tmp_path):
    """Images that are completed exactly, as all is known."""
    options = ("--measurement", "columns:8", "--keep-known", "--count", 2, "-n", 2)
    told = run(capsys, "complete", preset, *options, "-o", tmp_path / "c.npz", "--json")
    assert json.loads(told, parse_constant=pytest.fail)["psnr_of_mean"] == [100, 100]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["interpolate", "--first", "²"], "There is no file ²"),
        (["reconstruct", "--images", "nowhere.png"], "There is no file nowhere.png"),
        (["interpolate", "--first", "99999"], "There is no image 99999"),
        (["evaluate", "--set", "train.seed=1"], "is not of the section data"),
        (["evaluate", "--split", "tset"], "Did you mean 'test'?"),
        (["evaluate", "--dataset", "digitz"], "Did you mean 'digits'?"),
        (["sample", "--temperature", "-1"], "temperature is -1"),
        (["sample", "-o", "x.gif"], "neither a .png"),
    ],
)
def test_bad_input(preset, capsys, arguments, sentence):
    with pytest.raises(SystemExit) as left:
        main([arguments[0], preset, *arguments[1:]])
    captured = capsys.readouterr()
    assert left.value.code == 2
    assert sentence in captured.err
    assert captured.out == ""


def test_a_preset_without_weights_says_how_to_get_them(capsys):
    with pytest.raises(SystemExit) as left:
        main(["sample", "openai-ffhq256"])
    assert left.value.code == 2
    assert "has no weights on this machine" in capsys.readouterr().err


def test_saved_weights_load_to_the_same_model(preset, tmp_path):
    model = hvae.load(preset)
    again = model.save(tmp_path / "again")
    images = model.sample(3)
    np.testing.assert_array_equal(images, hvae.load(again).sample(3))


@pytest.mark.every_backend
def test_complete_shows_and_writes_what_was_drawn(preset, capsys, tmp_path):
    measured = ("--measurement", "columns:0.25,fill=0", "--count", 2, "-n", 3)
    out = run(capsys, "complete", preset, *measured, "-o", tmp_path / "a.npz", "--json")
    told = json.loads(out)
    assert (told["images"], told["draws"], told["known"]) == (2, 3, 0.25)
    with np.load(tmp_path / "a.npz") as found:
        assert found["draws"].shape == (3, 2, 8, 8, 1)
        np.testing.assert_array_equal(
            found["measured"], np.where(found["mask"][..., None], found["images"], 0)
        )
        again = hvae.load(preset).posterior_sample(found["measured"], found["mask"], 3)
        np.testing.assert_array_equal(found["draws"], again.images)
        np.testing.assert_array_equal(found["std"], again.std)
    run(capsys, "complete", preset, *measured, "--keep-known", "-o", tmp_path / "grid.png")
    width, height = Image.open(tmp_path / "grid.png").size
    assert 3.4 < width / height < 3.6  # two rows of seven pictures


@pytest.fixture(scope="module")
def of_any_size(tmp_path_factory):
    """A preset without a scale that is pinned to its size, and a picture."""
    folder = tmp_path_factory.mktemp("any") / "convolutional"
    model = {**CONFIG["model"], "resolutions": [8, 4], "no_bias_above": 0}
    hvae.build({**CONFIG, "model": model}).save(folder)
    pixels = np.random.default_rng(0).integers(0, 256, (21, 30), dtype=np.uint8)
    Image.fromarray(pixels).save(folder.parent / "picture.png")
    return str(folder), str(folder.parent / "picture.png"), pixels[None, ..., None]


def test_an_image_keeps_its_size_in_tiles(of_any_size, capsys, tmp_path):
    preset, picture, pixels = of_any_size
    arguments = ("--images", picture, "--tile", "16x12", "--overlap", 4, "--seed", 2)
    run(capsys, "reconstruct", preset, *arguments, "-o", tmp_path / "a.npz")
    expected = hvae.load(preset).reconstruct(pixels, seed=2, tile=(16, 12), overlap=4)
    with np.load(tmp_path / "a.npz") as archive:
        np.testing.assert_array_equal(archive["images"], expected)
    out = run(capsys, "encode", preset, *arguments, "-o", tmp_path / "a.npz", "--json")
    assert json.loads(out)["shapes"] == [[11, 15, 2], [22, 30, 2]]
    run(capsys, "decode", preset, tmp_path / "a.npz", "--size", "22x30", "-o", tmp_path / "b.npz")


def test_the_same_weights_at_another_size(of_any_size, preset, capsys, tmp_path):
    whole, picture, _ = of_any_size
    run(capsys, "sample", whole, "--size", "12X20", "-n", 2, "-o", tmp_path / "a.npz")
    with np.load(tmp_path / "a.npz") as archive:
        np.testing.assert_array_equal(archive["images"], hvae.load(whole).at_size(12, 20).sample(2))
    out = run(capsys, "reconstruct", whole, "--images", picture, "--size", 16, "--json",
              "-o", tmp_path / "b.npz")  # fmt: skip
    assert json.loads(out)["images"] == 1
    for arguments, message in (
        (("sample", preset, "--size", 16), "This model takes images of 8x8 alone: the scale 8"),
        (("reconstruct", preset, "--images", picture, "--tile", 16), "of 8x8 alone"),
        (("sample", whole, "--size", "16x"), "'16x' is no size; expected such as 128x192"),
        (("encode", whole, "--images", __file__, "--tile", 16), "cannot be read as an image"),
    ):
        with pytest.raises(SystemExit) as left:
            main([*map(str, arguments), "-o", str(tmp_path / "c.npz")])
        assert left.value.code == 2
        assert message in capsys.readouterr().err


def test_images_in_tiles_are_of_one_size(of_any_size, capsys, tmp_path):
    preset, picture, _ = of_any_size
    Image.new("L", (9, 9)).save(tmp_path / "other.png")
    with pytest.raises(SystemExit) as left:
        main(["encode", preset, "--images", picture, "--images", str(tmp_path / "other.png"),
              "--tile", "8", "-o", str(tmp_path / "c.npz")])  # fmt: skip
    assert left.value.code == 2
    assert "other.png is of 9x9, and" in capsys.readouterr().err


@pytest.fixture(scope="module")
def conditional(tmp_path_factory):
    """A preset of a labelled model, in which the label changes what is drawn."""
    label = {"name": "label", "classes": 10, "dropout": 0.1}
    model = own_weights(hvae.build({**CONFIG, "model": {**CONFIG["model"], "condition": label}}))
    return str(model.save(tmp_path_factory.mktemp("zoo") / "labelled"))


def arrays(path, name="images"):
    with np.load(path) as archive:
        return archive[name]


def test_the_condition_of_each_command(conditional, capsys, tmp_path):
    model, out = hvae.load(conditional), tmp_path / "a.npz"
    given = ("--condition", "3")
    run(capsys, "sample", conditional, "-n", 2, *given, "-o", out)
    np.testing.assert_array_equal(arrays(out), model.sample(2, condition=3))
    run(capsys, "sample", conditional, "-n", 1, "--condition", "all", "--guidance", 2, "-o", out)
    every = model.sample(10, condition=list(range(10)), guidance=2.0)
    np.testing.assert_array_equal(arrays(out), every)

    chosen = ("--count", 3, "--seed", 4)
    digits = model.config.data.build()
    images, labels = digits.load("test").batch(range(3)), digits.condition("label", "test").values
    for words, condition in (((), labels[:3]), (given, 3)):
        run(capsys, "reconstruct", conditional, *chosen, *words, "-o", out)
        expected = model.reconstruct(images, seed=4, condition=condition)
        np.testing.assert_array_equal(arrays(out).reshape(-1, 8, 8, 1)[-3:], expected)
        measured = ("--measurement", "columns:0.5", "-n", 2)
        run(capsys, "complete", conditional, *chosen, *measured, *words, "-o", out)
        y, mask = arrays(out, "measured"), arrays(out, "mask")
        drawn = model.posterior_sample(y, mask, 2, seed=4, condition=condition)
        np.testing.assert_array_equal(arrays(out, "draws"), drawn.images)

    run(capsys, "encode", conditional, *chosen, *given, "-o", tmp_path / "z.npz")
    run(capsys, "decode", conditional, tmp_path / "z.npz", *given, "--seed", 4, "-o", out)
    np.testing.assert_array_equal(arrays(out), model.reconstruct(images, seed=4, condition=3))
    run(capsys, "interpolate", conditional, "--steps", 3, *given, "-o", out)
    assert arrays(out).shape == (3, 8, 8, 1)
    run(capsys, "counterfactual", conditional, *chosen, *given, "-o", out)
    other = model.counterfactual(images, 3, own=labels[:3], seed=4)
    np.testing.assert_array_equal(arrays(out), other)
    told = json.loads(run(capsys, "evaluate", conditional, "--limit", 8, "--json"))
    assert told["images"] == 8
    told = run(capsys, "evaluate", conditional, "--limit", 8)
    assert "bounds on log p(x | condition)" in " ".join(told.split())


def test_a_condition_that_does_not_fit_a_command(conditional, preset, capsys):
    for source, words, sentence in (
        (conditional, ["sample", "--condition", "10"], "expected a class from 0 to 9"),
        (conditional, ["complete", "--measurement", "columns:1", "--condition", "x"], "is 'x'"),
        (preset, ["sample", "--condition", "1"], "the model has no condition"),
        (preset, ["complete", "--measurement", "columns:1", "--condition", "1"], "no condition"),
        (preset, ["counterfactual", "--condition", "1"], "the model has no condition"),
        (preset, ["sample", "--guidance", "2"], "guidance"),
        (conditional, ["counterfactual", "--condition", "1", "--own", "12"], "--own is '12'"),
    ):
        with pytest.raises(SystemExit) as left:
            main([words[0], source, *words[1:]])
        captured = capsys.readouterr()
        assert left.value.code == 2, captured
        assert sentence in captured.err
        assert "Traceback" not in captured.err


def many_latents(model, place):
    z = [np.zeros((30_000, *shape), "f") for shape in model.latent_shapes]
    hvae.Latents(z).save(place / "z.npz")


def many_images(model, place):
    np.save(place / "x.npy", np.zeros((1000, *model.image_shape), np.uint8))


@pytest.mark.parametrize(
    ("prepare", "words"),
    [
        (None, ["sample", "-n", "2147483647", "--condition", "3"]),
        (None, ["sample", "-n", "2147483647", "--condition", "all"]),
        (many_latents, ["decode", "z.npz", "--condition", "3"]),
        (many_images, ["reconstruct", "--images", "x.npy", "--condition", "3"]),
        (many_images, ["counterfactual", "--images", "x.npy", "--condition", "3", "--own", "2"]),
        (many_images, ["denoise", "--images", "x.npy", "--draws", "60", "--condition", "3"]),
        (many_images, ["complete", "--images", "x.npy", "--measurement", "blur:1", "-n", "60",
                       "--condition", "3"]),
        (None, ["interpolate", "--steps", "1000"]),
    ],
)  # fmt: skip
def test_a_grid_that_nobody_could_open_is_refused_before_it_is_computed(
    prepare, words, conditional, capsys, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    model = hvae.load(conditional)
    if prepare is not None:
        prepare(model, tmp_path)
    monkeypatch.setattr(type(model), "run", pytest.fail)
    with pytest.raises(SystemExit) as left:
        main([words[0], conditional, *words[1:], "-o", "grid.png"])
    assert left.value.code == 2
    assert "A grid of " in capsys.readouterr().err


def test_evaluate_a_completion(preset, capsys):
    pytest.importorskip("skimage")
    options = ("--measurement", "columns:0.5", "--draws", 2, "--unadapted", preset, "--limit", 4)
    out = json.loads(run(capsys, "evaluate", preset, *options, "--json"))
    assert (out["images"], out["draws"], out["known"]) == (4, 2, 0.5)
    assert set(out["baselines"]) == {"mean_filled", "unadapted_encoder"}
    assert out["baselines"]["unadapted_encoder"]["psnr_of_mean"] == out["psnr_of_mean"]
    assert "coverage of the 90 % interval" in run(capsys, "evaluate", preset, *options)
