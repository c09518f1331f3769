"""Latents in and out: encoding, decoding, features, and files of latents."""

import dataclasses

import numpy as np
import pytest

import hvae_core as hvae
from hvae_core.errors import BadInputError, DataError
from hvae_core.inference.latents import Latents
from hvae_core.inference.programs import Infer
from hvae_core.prob.noise import draw_normal, split_layers
from hvae_core.weights.tensors import write_tensors

pytestmark = pytest.mark.every_backend

CONFIG = {
    "model": {
        "resolutions": [4, 2, 1],
        "image_channels": 3,
        "width": 8,
        "encoder_middle_width": 4,
        "decoder_middle_width": 4,
        "latent_width": 2,
        "encoder_blocks": 1,
        "decoder_blocks": [2, 1, 1],
        "readout": {"kind": "features"},
    },
    "likelihood": {"name": "logistic-mixture", "mixtures": 2},
}
LISTS = ("z", "posterior_mean", "posterior_log_std", "prior_mean", "prior_log_std")


def built(**changes):
    """A tiny model whose weights are far from their start."""
    from keras import ops

    model = hvae.build({**CONFIG, "model": {**CONFIG["model"], **changes}})
    rng = np.random.default_rng(1)
    for variable in model.trainable_variables:
        value = ops.convert_to_numpy(variable.value)
        variable.assign(value + rng.normal(0, 0.3, value.shape).astype("float32"))
    return model


@pytest.fixture(scope="module")
def model():
    return built()


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (3, 4, 4, 3)).astype(np.uint8)


@pytest.fixture(scope="module")
def encoded(model, images):
    return model.encode(images, seed=5)


def test_decoding_an_encoding_is_the_reconstruction_bit_for_bit(model, images, encoded):
    whole = model.reconstruct(images, seed=5)
    np.testing.assert_array_equal(model.decode(encoded, seed=5), whole)
    assert (model.decode(encoded, seed=6) != whole).any()
    if model.is_eager:  # then one pass gives both, whatever the batches
        one_by_one = model.encode(images, seed=5, batch_size=1)
        np.testing.assert_array_equal(
            model.decode(one_by_one, seed=5, batch_size=1),
            model.reconstruct(images, seed=5, batch_size=1),
        )
    leading = model.encode(images, layers=2, seed=5)
    np.testing.assert_array_equal(
        model.decode(leading, temperature=0.7, seed=5),
        model.reconstruct(images, latents=2, seed=5, temperature=0.7),
    )


def test_every_layer_s_posterior_and_prior_are_those_of_the_bound(model, images, encoded):
    assert encoded.shapes == model.latent_shapes
    assert len(encoded) == 3
    bound = model.elbo(images, seed=5)
    np.testing.assert_allclose(encoded.kl_per_layer, bound.kl_per_layer, rtol=1e-4, atol=1e-5)
    normal = split_layers(draw_normal(model.latent_shapes, 3, 5), model.latent_shapes)
    layers = zip(*(getattr(encoded, name) for name in LISTS), normal, strict=True)
    for layer, (z, q_mean, q_log_std, p_mean, p_log_std, noise) in enumerate(layers):
        np.testing.assert_allclose(z, q_mean + np.exp(q_log_std) * noise, rtol=1e-4, atol=1e-5)
        ratio = np.exp(2 * (q_log_std - p_log_std)) + ((q_mean - p_mean) / np.exp(p_log_std)) ** 2
        kl = (0.5 * (ratio - 1) - (q_log_std - p_log_std)).sum((1, 2, 3))
        np.testing.assert_allclose(encoded.kl_per_layer[:, layer], kl, rtol=1e-4, atol=1e-4)


def test_an_encoding_of_leading_layers_computes_no_more(model, images, encoded):
    leading = model.encode(images, layers=2, seed=5)
    assert leading.shapes == model.latent_shapes[:2]
    for name in LISTS:
        for one, other in zip(getattr(leading, name), getattr(encoded, name), strict=False):
            np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)
    ran = []
    decoder = model.decoder
    layers = [layer for group in decoder.layers_by_stage for layer in group]
    with pytest.MonkeyPatch.context() as patch:
        for place, layer in enumerate(layers):
            patch.setattr(layer, "latent", _recorded(layer.latent, ran, f"latent {place}"))
            patch.setattr(layer, "_update", _recorded(layer._update, ran, f"update {place}"))
        patch.setattr(model, "_engine", type(model._engine)(model))
        patch.setattr(model.readout, "call", _recorded(model.readout.call, ran, "readout"))
        model.encode(images, layers=2)
    # The second layer's way into the stream is needed by nothing.
    assert ran == ["latent 0", "update 0", "latent 1"]


def _recorded(function, ran, name):
    def run(*args):
        ran.append(name)
        return function(*args)

    return run


def test_the_posterior_s_mean_and_given_noise(model, images):
    zeros = [np.zeros((3, *shape), "f") for shape in model.latent_shapes]
    mean = model.encode(images, sample=False)
    given = model.encode(images, noise=zeros)
    for z, q_mean, other in zip(mean.z, mean.posterior_mean, given.z, strict=True):
        np.testing.assert_array_equal(z, q_mean)
        np.testing.assert_array_equal(z, other)


def test_a_flow_s_output_is_the_latent_and_its_input_is_gaussian(images):
    model = built(flow={"name": "sylvester", "flows": 1, "orthogonal_vectors": 2})
    mean = model.encode(images, sample=False)
    assert all((z != m).any() for z, m in zip(mean.z, mean.posterior_mean, strict=True))
    encoded = model.encode(images)
    np.testing.assert_array_equal(model.decode(encoded), model.reconstruct(images))
    kl = model.elbo(images).kl_per_layer
    np.testing.assert_allclose(encoded.kl_per_layer, kl, rtol=1e-4, atol=1e-4)


def test_any_layers_may_be_left_to_the_prior(model, encoded):
    sampled = model.sample(3, seed=2)
    z = list(encoded.z)
    finest = model.decode([None, None, None, z[3]], seed=2)
    assert (finest != sampled).any()
    cold = [model.decode([z[0], None, z[2]], temperature=0, seed=2)]
    cold += [model.decode(Latents([z[0], None, z[2], None]), temperature=0, seed=2)]
    np.testing.assert_array_equal(*cold)


def test_pixels_are_drawn_or_the_mean_or_the_mode(model, encoded):
    mode = model.decode(encoded, pixels="mode", seed=1)
    np.testing.assert_array_equal(mode, model.decode(encoded, pixels="mode", seed=2))
    mean = model.decode(encoded, pixels="mean")
    assert mean.dtype == mode.dtype == np.uint8
    assert (mean != mode).any()
    assert np.abs(mean.astype(int) - mode).mean() < np.abs(255 - mean.astype(int) - mode).mean()
    assert (model.decode(encoded, seed=1) != model.decode(encoded, seed=2)).any()


def test_features_are_the_encoder_s_maps_finest_scale_first(model, images):
    maps = model.features(images, batch_size=2)
    assert [scale.shape for scale in maps] == [(3, 4, 4, 8), (3, 2, 2, 8), (3, 1, 1, 8)]
    assert all(scale.dtype == np.float32 for scale in maps)
    noise = [np.zeros((2, *shape), "f") for shape in model.latent_shapes]
    inputs = {"images": images[:2], "noise": noise}
    for one, other in zip(
        model.run(Infer(("log_ratio", "features")), inputs)["features"], maps, strict=True
    ):
        np.testing.assert_allclose(one, other[:2], rtol=1e-4, atol=1e-5)


def test_flat_vectors_go_out_and_in(model, encoded):
    flat = encoded.flat()
    assert flat.shape == (3, sum(h * w * c for h, w, c in model.latent_shapes))
    np.testing.assert_array_equal(flat[:, :2], encoded.z[0].reshape(3, 2))
    _, w, c = model.latent_shapes[1]
    place = 2 + (1 * w + 0) * c + 1  # row 1, column 0, channel 1 of the second layer
    np.testing.assert_array_equal(flat[:, place], encoded.z[1][:, 1, 0, 1])
    back = Latents.from_flat(flat, model.latent_shapes)
    np.testing.assert_array_equal(
        model.decode(back, pixels="mode"), model.decode(encoded, pixels="mode")
    )
    assert Latents.from_flat(flat[:, :2], model.latent_shapes).shapes == model.latent_shapes[:1]
    with pytest.raises(BadInputError, match=r"flat has shape \[3, 3\]; .*\[2, 10, 42, 74\]"):
        Latents.from_flat(flat[:, :3], model.latent_shapes)
    np.testing.assert_array_equal(encoded.flat("prior_mean")[:, :2], encoded.prior_mean[0][:, 0, 0])
    with pytest.raises(BadInputError, match="have no prior_mean"):
        back.flat("prior_mean")


def test_images_and_layers_can_be_picked(encoded):
    assert repr(encoded[0]) == (
        "Latents(images=1, layers=4, z, posterior_mean, posterior_log_std, prior_mean, "
        "prior_log_std, kl_per_layer)"
    )
    picked = encoded[[2, 0]].leading(3)
    np.testing.assert_array_equal(picked.z[1], encoded.z[1][[2, 0]])
    np.testing.assert_array_equal(picked.kl_per_layer, encoded.kl_per_layer[[2, 0], :3])
    with pytest.raises(BadInputError, match="layers is 9; there are 4"):
        encoded.leading(9)
    for none in (np.zeros(3, bool), [], slice(3, None)):
        with pytest.raises(BadInputError, match=r"of no image\. Give, or choose, at least one"):
            encoded[none]


@pytest.mark.parametrize("suffix", [".safetensors", ".npz"])
def test_files_give_back_what_was_written(encoded, suffix, tmp_path):
    path = encoded.save(tmp_path / f"a{suffix}")
    loaded = Latents.load(path)
    for name in LISTS:
        for one, other in zip(getattr(loaded, name), getattr(encoded, name), strict=True):
            np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(loaded.kl_per_layer, encoded.kl_per_layer)
    edited = Latents([None, encoded.z[1]])
    again = Latents.load(edited.save(path))
    assert again.shapes == edited.shapes
    assert again.prior_mean is None
    assert again.names is None


@pytest.mark.parametrize("suffix", [".safetensors", ".npz"])
def test_the_images_of_a_file_are_known_by_name(encoded, suffix, tmp_path):
    # a path with what JSON escapes, one beyond ASCII, and one of a byte that is no UTF-8
    names = ['a/"1"\\.png', "日本/é.png", "b\udcff.png"]
    named = dataclasses.replace(encoded, names=names)
    loaded = Latents.load(named.save(tmp_path / f"a{suffix}"))
    assert loaded.names == names
    assert loaded[[2, 0]].names == [names[2], names[0]]
    assert loaded[1].leading(2).names == [names[1]]
    np.testing.assert_array_equal(loaded.z[0], encoded.z[0])
    for wrong, reason in ((names[:2], "2 names of 3 images"), ("abc", "no list of strings"),
                          ([1, 2, 3], "no list of strings")):  # fmt: skip
        with pytest.raises(BadInputError, match=reason):
            dataclasses.replace(encoded, names=wrong)


def test_names_in_a_file_are_not_believed(tmp_path):
    facts = {"format": "hvae-latents-1", "layers": "1"}
    z, path = np.zeros((2, 2, 2, 1), "f"), tmp_path / "a.safetensors"
    for text, reason in (
        ("[1, 2]", "no list of strings"), ("{", "no list of strings"), ('"ab"', "no list"),
        ("[" * 99_999, "no list of strings"), ('["a"]', "1 names of 2 images"),
    ):  # fmt: skip
        names = np.frombuffer(text.encode(), np.uint8)
        write_tensors({"z.0": z, "names": names}, path, facts)
        with pytest.raises(DataError, match=reason):
            Latents.load(path)
    write_tensors({"z.0": z, "names": z}, path, facts)
    with pytest.raises(DataError, match="no list of strings in its array 'names'"):
        Latents.load(path)


def test_files_of_other_things_are_refused(encoded, tmp_path):
    path = encoded.save(tmp_path / "a.safetensors")
    (tmp_path / "cut.safetensors").write_bytes(path.read_bytes()[:-8])
    write_tensors({"z.0": np.zeros((1, 2, 2, 1), "f")}, tmp_path / "weights.safetensors")
    facts = {"format": "hvae-latents-1", "layers": "2"}
    shape, other = np.zeros((1, 2, 2, 1), "f"), np.zeros((2, 2, 2, 1), "f")
    write_tensors({"z.0": shape, "z.1": other}, tmp_path / "rows.safetensors", facts)
    write_tensors({"z.0": shape[:0], "z.1": shape[:0]}, tmp_path / "zero.safetensors", facts)
    write_tensors({"y.0": shape}, tmp_path / "name.safetensors", facts)
    write_tensors({"z.0": shape}, tmp_path / "many.safetensors", {**facts, "layers": "9" * 9})
    (tmp_path / "text.npz").write_text("no archive")
    np.savez(tmp_path / "images.npz", images=np.zeros(3))
    np.savez(tmp_path / "objects.npz", images=np.array([{}]))
    np.save(tmp_path / "array.npy", shape)
    (tmp_path / "array.npy").rename(tmp_path / "array.npz")
    for name, reason in {
        "cut.safetensors": "cut short",
        "weights.safetensors": "holds no latents",
        "rows.safetensors": r"of \[1, 2\] images",
        "zero.safetensors": "cannot be read as latents: The latents are of no image",
        "name.safetensors": "has the array 'y.0'",
        "many.safetensors": "999999999",
        "text.npz": "cannot be read as latents",
        "images.npz": "holds no latents",
        "objects.npz": "cannot be read as latents",
        "array.npz": "is an .npy file",
        "none.npz": "There is no file",
        "none.safetensors": "There is no file",
        "a.pt": "neither a .safetensors nor an .npz",
    }.items():
        with pytest.raises(BadInputError, match=reason) as caught:
            Latents.load(tmp_path / name)
        assert name in str(caught.value)
        assert isinstance(caught.value, DataError) or name == "a.pt"


def test_impossible_arguments_are_told(model, images, encoded):
    z = list(encoded.z)
    for call, reason in (
        (lambda: model.encode(images, layers=9), "layers is 9; the model has 4"),
        (lambda: model.encode(images, layers=0), "layers is 0"),
        (lambda: model.encode(images, noise=[z[0]]), "noise has 1 arrays"),
        (lambda: model.encode(images, sample=False, noise=z), "noise is given and sample is False"),
        (lambda: model.encode(images[:, :2]), "the model needs images"),
        (lambda: model.features(images[:, :2]), "the model needs images"),
        (lambda: model.decode([*z, z[0]]), "have 5 layers; the model has 4"),
        (lambda: model.decode(z[1:]), r"z\[0\] has shape \[3, 2, 2, 2\]; layer 0 of the model"),
        (lambda: model.decode([z[0] * np.nan]), r"z\[0\] holds values that are not finite"),
        (lambda: model.decode([None]), "no layer that is given"),
        (lambda: model.decode(encoded.flat()), "is of type ndarray"),
        (lambda: model.decode(encoded, pixels="median"), "pixels is 'median'"),
        (lambda: model.decode(encoded, temperature=-1), "temperature is -1"),
        (lambda: Latents([z[0], z[1][:2]]), r"of \[2, 3\] images"),
        (lambda: Latents([z[0][0]]), r"z\[0\] has shape"),
        (lambda: model.decode([z[0][:0]]), "of no image"),
        (lambda: Latents([["a"]]), r"z\[0\] holds no numbers"),
        (lambda: dataclasses.replace(encoded, prior_mean=z[:2]), "prior_mean has not the shapes"),
        (lambda: dataclasses.replace(encoded, kl_per_layer=z[0]), "kl_per_layer has shape"),
    ):
        with pytest.raises(BadInputError, match=reason):
            call()


def test_channels_that_are_not_kept_are_the_prior_s(model, images, encoded, tmp_path):
    depth = len(model.latent_shapes)
    whole = [np.ones(2, bool)] * depth
    same = model.encode(images, seed=5, kept=whole)
    for name in LISTS:
        for a, b in zip(getattr(same, name), getattr(encoded, name), strict=True):
            np.testing.assert_allclose(a, b, atol=1e-6)
    kept = [np.array([True, False]), *whole[1:]]
    pruned = model.encode(images, seed=5, kept=kept)
    np.testing.assert_allclose(pruned.z[0][..., 0], encoded.z[0][..., 0], atol=1e-6)
    drawn = (pruned.z[0] - pruned.prior_mean[0]) / np.exp(pruned.prior_log_std[0])
    given = model.encode(
        images, seed=5, kept=kept, prior_noise=[np.zeros_like(layer) for layer in encoded.z]
    )
    assert np.abs(drawn[..., 1]).max() > 1e-3
    np.testing.assert_allclose(given.z[0][..., 1], given.prior_mean[0][..., 1], atol=1e-6)
    assert [layer.shape[-2:] for layer in pruned.code()] == [(1, 2), *[(2, 2)] * (depth - 1)]
    path = pruned.save(tmp_path / "pruned.npz")
    back = Latents.load(path)
    np.testing.assert_array_equal(back.kept[0], [1, 0])
    np.testing.assert_array_equal(back[:2].kept[0], [1, 0])
    assert back.leading(1).kept[0].tolist() == [1, 0]
    pruned.z[1] = None  # to be drawn anew
    for suffix in ("npz", "safetensors"):
        back = Latents.load(pruned.save(tmp_path / f"fewer.{suffix}"))
        assert back.z[1] is None
        for one, other in zip(back[:2].kept, pruned.kept, strict=True):
            np.testing.assert_array_equal(one, other)
    assert model.decode(back).shape == images.shape


def test_the_most_informative_channels(encoded):
    kl = np.concatenate(encoded.kl_per_channel())
    total = [
        layer.sum() * np.prod(z.shape[1:3])
        for layer, z in zip(encoded.kl_per_channel(), encoded.z, strict=True)
    ]
    np.testing.assert_allclose(total, encoded.kl_per_layer.mean(axis=0), rtol=1e-4)
    chosen = np.concatenate(encoded.most_informative(0.25))
    assert chosen.sum() == 2
    assert set(np.flatnonzero(chosen)) == set(np.argsort(kl)[-2:])
    assert np.concatenate(encoded.most_informative(1.0)).all()
    assert not np.concatenate(encoded.most_informative(0)).any()


def test_masks_that_do_not_fit_are_refused(model, images, encoded):
    masks = [np.ones(2)] * len(model.latent_shapes)
    for options, named in (
        ({"kept": masks[1:]}, "kept has 3 arrays"),
        ({"kept": [np.ones(3), *masks[1:]]}, r"kept\[0\] has shape \[3\]"),
        ({"kept": [np.full(2, 0.5), *masks[1:]]}, "neither true nor false"),
        ({"prior_noise": encoded.z}, "kept is not"),
    ):
        with pytest.raises(BadInputError, match=named):
            model.encode(images, **options)
    with pytest.raises(BadInputError, match="fraction is 2"):
        encoded.most_informative(2)
    with pytest.raises(BadInputError, match="not pruned"):
        encoded.code()
    with pytest.raises(BadInputError, match="no posteriors"):
        Latents(encoded.z).kl_per_channel()
    with pytest.raises(BadInputError, match="kept has not one number"):
        dataclasses.replace(encoded, kept=[np.ones(3)] * 4)


#: a flow at the scale 2x2 alone, and what each layer then allows
FLOW = {"name": "planar", "scales": [False, True, False]}
PRIOR = {"name": "diffusion-vampprior", "size": 1, "steps": 1, "width": 4, "blocks": 1}


@pytest.mark.parametrize(
    ("changes", "prunable"),
    [({"flow": FLOW}, [True, False, True, True]), ({"prior": PRIOR}, [False, *[True] * 4])],
    ids=["flow", "top prior"],
)
def test_layers_whose_channels_tell_of_each_other_are_left_whole(
    images, changes, prunable, tmp_path
):
    model = built(**changes)
    encoded = model.encode(images)
    assert encoded.prunable == prunable
    wide = sum(shape[-1] for shape, may in zip(model.latent_shapes, prunable, strict=True) if may)
    for latents in (encoded, Latents.load(encoded.save(tmp_path / "a.safetensors")), encoded[:2]):
        kept = latents.most_informative(0.5)
        whole = [mask for mask, may in zip(kept, prunable, strict=True) if not may]
        assert all(mask.all() for mask in whole)
        assert np.concatenate(kept).sum() - np.concatenate(whole).sum() == wide // 2
    pruned = model.encode(images, kept=kept)
    assert len(model.decode(pruned)) == 3
    assert pruned.leading(2).prunable == prunable[:2]
    for place, may in enumerate(prunable):
        masks = [np.ones(shape[-1]) for shape in model.latent_shapes]
        masks[place][0] = 0
        if may:
            model.encode(images[:1], kept=masks)
            continue
        with pytest.raises(BadInputError, match=rf"kept\[{place}\] leaves out channels"):
            model.encode(images, kept=masks)
    top = encoded.leading(1)
    if not prunable[0]:
        with pytest.raises(BadInputError, match="No layer of these latents can be pruned"):
            top.most_informative(0.5)
    with pytest.raises(BadInputError, match="prunable is not true or false"):
        dataclasses.replace(encoded, prunable=prunable[1:])
