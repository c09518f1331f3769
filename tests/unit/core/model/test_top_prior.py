"""A top prior in the hierarchy: a third party's, and the diffusion's, in all a model does."""

import contextlib
import math

import numpy as np
import pytest
from keras import ops
from tiny import merged

from hvae_core.config import parse_config
from hvae_core.errors import BadInputError, ConfigError
from hvae_core.inference.programs import Infer
from hvae_core.interfaces import GaussianParameters, LatentOutput, LayerPosterior, Prior
from hvae_core.plugins import ComponentSpec, hookimpl, manager
from hvae_plugins.priors.diffusion_vampprior import layer

DIFFUSION = {"name": "diffusion-vampprior", "size": 2, "steps": 2, "width": 4, "blocks": 1,
             "log_snr_max": 4.0, "log_snr_min": -4.0}  # fmt: skip
#: one layer, and 81 images in all
SMALL = {"resolutions": [2], "encoder_blocks": 1, "decoder_blocks": 1}
LEVELS = {"name": "logistic-mixture", "mixtures": 1, "levels": 3}
ALL = np.stack(np.meshgrid(*[[0, 128, 255]] * 4), axis=-1).reshape(81, 2, 2, 1).astype(np.uint8)


def make(**model):
    from hvae_core.vae import HierarchicalVAE

    network = HierarchicalVAE(merged({"model": {**SMALL, **model}, "likelihood": LEVELS}))
    rng = np.random.default_rng(0)
    for weight in network.trainable_variables:
        value = np.asarray(ops.convert_to_numpy(weight.value))
        weight.assign(value + rng.normal(0, 0.1, value.shape).astype("f"))
    return network


@pytest.fixture(scope="module")
def model():
    found = make(prior=DIFFUSION)
    found.adapt([ALL])
    return found


@pytest.mark.parametrize("condition", [None, {"name": "label", "classes": 2, "width": 3}])
def test_the_bound_is_a_bound_and_importance_weights_are_exact(monkeypatch, condition):
    """Summed over all 81 images, the weights' means are 1, and exp(ELBO) is below it.

    Under a condition too, whose model is p(x | c). With a posterior as wide as the prior, so that
    the weights' variance is small.
    """
    monkeypatch.setattr(layer, "MOST_LOG_VARIANCE", 12.0)
    model = make(prior={**DIFFUSION, "size": 1}, condition=condition)
    model.prior.std.assign(np.full((1, 1, 1), 0.5, np.float32))
    model.prior.log_variance.assign(np.full((1, 1, 1), -0.05, np.float32))
    draws = 200
    rng = np.random.default_rng(7)
    noise = [rng.normal(size=(81 * draws, *s)).astype("f") for s in model.latent_shapes]
    program = Infer(("log_weight", "log_likelihood", "kl_per_layer"))
    given = {"images": np.repeat(ALL, draws, axis=0), "noise": noise}
    if condition is not None:
        given["condition"] = np.ones(81 * draws, np.int32)
    out = model.run(program, given)
    weights = np.exp(out["log_weight"].astype("d")).reshape(81, draws)
    error = math.sqrt((weights.var(axis=1) / draws).sum())
    assert abs(weights.mean(axis=1).sum() - 1) < 5 * error
    assert error < 0.1
    bound = (out["log_likelihood"] - out["kl_per_layer"].sum(axis=-1)).reshape(81, draws)
    assert np.exp(bound.mean(axis=1)).sum() < 1 - 3 * error


def assert_its_posteriors_are_those_of_the_pass(model, latents, embedding=None):
    """Along the latents of the first three images' own pass."""
    along = model.posteriors_along(
        model.bottom_up(ops.convert_to_tensor(ALL[:3])),
        [ops.convert_to_tensor(z) for z in latents.z],
        embedding,
    )
    for posterior, mean in zip(along, latents.posterior_mean, strict=True):
        np.testing.assert_allclose(ops.convert_to_numpy(posterior.parameters.mean), mean, atol=1e-5)


def test_its_variables_are_the_first_layer(model):
    assert model.latent_shapes == [(2, 2, 4), (2, 2, 2)]
    found = model.elbo(ALL[:3])
    assert found.kl_per_layer.shape == (3, 2)
    latents = model.encode(ALL[:3])
    np.testing.assert_array_equal(model.decode(latents), model.reconstruct(ALL[:3]))
    assert [f.shape[1:] for f in model.features(ALL[:3])] == [(2, 2, 8), (2, 2, 1)]
    one = model.sample(3, seed=1)
    assert one.shape == (3, 2, 2, 1)
    assert (one != model.sample(3, seed=2)).any()
    # Given the posterior's own latents, its posteriors are those of the pass.
    assert_its_posteriors_are_those_of_the_pass(model, latents)


def test_without_one_nothing_is_there_and_initial_weights_are_the_same():
    from hvae_core.vae import HierarchicalVAE
    from hvae_core.weights import model_arrays

    with_it, without = (
        model_arrays(HierarchicalVAE(merged({"model": {**SMALL, "prior": prior}})))
        for prior in (DIFFUSION, None)
    )
    assert not [name for name in without if name.startswith("prior.")]
    assert {name for name in with_it if not name.startswith("prior.")} == set(without)
    reads = "decoder.blocks.0.prior.conv1.kernel"
    assert with_it[reads].shape[2] == without[reads].shape[2] + 1
    for name, array in without.items():
        if name != reads:
            np.testing.assert_array_equal(with_it[name], array)


def test_a_run_takes_the_scale_trains_and_is_saved(tmp_path):
    """The scale is the training images', in the run and in what is saved of it."""
    import hvae_core as hvae

    config = {
        **merged({}).to_dict(),
        "model": {**merged({"model": SMALL}).to_dict()["model"], "prior": DIFFUSION},
        "likelihood": LEVELS,
    }
    config["train"] |= {"steps": 2, "report": False, "sample_epochs": 0, "tensorboard": False}
    images = np.repeat(ALL, 2, axis=0)
    hvae.train(config, tmp_path / "run", dataset=images)
    model = hvae.load(tmp_path / "run")
    fresh = hvae.build(config)
    assert np.abs(ops.convert_to_numpy(model.prior.mean)).max() > 0
    before = np.asarray(ops.convert_to_numpy(fresh.prior.denoiser.out.kernel))
    assert np.abs(np.asarray(ops.convert_to_numpy(model.prior.denoiser.out.kernel)) - before).max()
    model.save(tmp_path / "saved")
    again = hvae.load(tmp_path / "saved")
    np.testing.assert_array_equal(again.elbo(ALL[:2]).elbo, model.elbo(ALL[:2]).elbo)


def statistics(model):
    return [ops.convert_to_numpy(w.value) for w in (model.prior.mean, model.prior.std)]


@pytest.mark.parametrize("changes", [{}, {"train.seed": 5}], ids=["as it is", "other seed"])
def test_a_fresh_model_object_takes_the_statistics_in_its_run(tmp_path, changes):
    import hvae_core as hvae

    short = {"train.steps": 1, "train.report": False, "train.sample_epochs": 0}
    config = merged({"model": {**SMALL, "prior": DIFFUSION}, "likelihood": LEVELS})
    fresh = hvae.build(config)
    before = statistics(fresh)
    hvae.train(
        fresh, tmp_path / "run", dataset=np.repeat(ALL, 2, axis=0), overrides=short | changes
    )
    for own, old in zip(statistics(fresh), before, strict=True):
        np.testing.assert_array_equal(own, old)
    taken = statistics(hvae.load(tmp_path / "run"))
    assert all((own != old).any() for own, old in zip(taken, before, strict=True))


@pytest.mark.parametrize("how", ["loaded", "adapted", "trained without"])
def test_a_model_that_is_not_fresh_keeps_its_statistics(tmp_path, how):
    import hvae_core as hvae

    config = merged({"model": {**SMALL, "prior": DIFFUSION}, "likelihood": LEVELS})
    start = hvae.build(config)
    dark = ALL[:20] // 2
    if how == "trained without":  # by a loop of one's own, or Keras's fit
        start.prior.log_variance.assign(start.prior.log_variance - 1.0)
    else:
        start.adapt([dark])
    if how == "loaded":
        start.save(tmp_path / "saved")
        start = hvae.load(tmp_path / "saved")
    before = statistics(start)
    short = {"train.steps": 1, "train.report": False, "train.sample_epochs": 0}
    hvae.train(start, tmp_path / "run", dataset=np.repeat(ALL, 2, axis=0), overrides=short)
    for own, old in zip(statistics(hvae.load(tmp_path / "run")), before, strict=True):
        np.testing.assert_array_equal(own, old)


def test_what_it_cannot_do_is_said(model):
    with pytest.raises(BadInputError, match=r"model\.prior are those of images of this size"):
        model.at_size(4, 4)
    with pytest.raises(BadInputError, match=r"model\.prior are those of images of this size"):
        model.reconstruct(np.zeros((1, 4, 4, 1), np.uint8), tile=2)


LABEL = {"name": "label", "classes": 3}
PARTIAL = {"objective": "partial-posterior"}


@pytest.mark.parametrize(
    ("given", "told", "priors"),
    [
        ({"model": {"condition": LABEL}}, "'{}' does not see model.condition", ["grey"]),
        ({"measurement": "columns:0.5"}, "'{}' takes the pixels that a measurement leaves unknown",
         [DIFFUSION, "grey"]),
        ({"regularizer": "cr-vae"}, "regularizer 'cr-vae' does not support model.prior '{}'",
         [DIFFUSION, "grey"]),
    ],
)  # fmt: skip
def test_what_it_does_not_go_with_is_refused_unless_it_says_so(given, told, priors):
    """Of any prior, a third party's too; one that declares it is believed."""

    def read(prior):
        return parse_config({**given, "model": {**given.get("model", {}), "prior": prior}})

    for prior in priors:
        name = prior if prior == "grey" else prior["name"]
        with plugged(GreyPlugin()), pytest.raises(ConfigError, match=told.format(name)) as caught:
            read(prior)
        assert "\n" not in str(caught.value)
    with plugged(GreyPlugin("condition", "measurement", "regularizer")):
        assert read("grey").model.prior.name == "grey"


def test_the_partial_posterior_does_not_reach_it_whatever_it_declares():
    values = {"measurement": "columns:0.5", "train": PARTIAL, "model": {"prior": "grey"}}
    told = r"does not reach the variables of model\.prior"
    with plugged(GreyPlugin("measurement")), pytest.raises(ConfigError, match=told):
        parse_config(values)


def test_a_regularizer_may_say_that_it_goes_with_it(monkeypatch):
    """It skips such a layer, or asks nothing of posteriors."""
    found = manager().get("regularizer", "cr-vae")
    for supports in ((), ("invertible-flow", "prior")):
        monkeypatch.setitem(vars(found), "supports", supports)
        parse_config({"regularizer": "cr-vae", "model": {"prior": DIFFUSION}})


def test_where_all_priors_are_unconditional_it_goes_with_a_condition_that_it_does_not_see():
    model = make(prior=DIFFUSION, condition=LABEL, conditioning={"prior": False})
    assert model.prior.embedding_width == 0
    one, other = (model.elbo(ALL[:3], condition=label) for label in (0, 2))
    assert np.abs(one.elbo - other.elbo).max() > 1e-4
    np.testing.assert_array_equal(one.kl_per_layer[:, 0], other.kl_per_layer[:, 0])
    assert model.sample(2, condition=1).shape == (2, 2, 2, 1)


def test_a_condition_is_that_of_the_top_prior_too():
    """In all three passes, and in both halves of a guided one."""
    model = make(prior=DIFFUSION, condition={**LABEL, "dropout": 0.1})
    one, other = (model.elbo(ALL[:3], condition=label).kl_per_layer[:, 0] for label in (0, 2))
    assert np.abs(one - other).max() > 1e-4
    latents = model.encode(ALL[:3], condition=0)
    embedding = model.embed(ops.zeros(3, "int32"))
    assert_its_posteriors_are_those_of_the_pass(model, latents, embedding)
    rng = np.random.default_rng(3)
    noise = [rng.normal(size=(3, *shape)).astype("f") for shape in model.latent_shapes]

    def drawn(label, guidance):
        condition = ops.full((3,), label, "int32")
        return ops.convert_to_numpy(model.generate(noise, 1.0, None, None, condition, guidance))

    np.testing.assert_allclose(drawn(1, 1.0), drawn(1, None), atol=1e-6)
    assert np.abs(drawn(1, None) - drawn(2, None)).max() > 3e-5
    assert np.abs(drawn(1, 3.0) - drawn(1, None)).max() > 3e-5


def test_a_third_party_s_prior_that_does_not_read_it_is_not_told():
    with plugged(GreyPlugin("condition")):
        model = make(prior="grey", condition=LABEL)
    one, other = (model.elbo(ALL[:3], condition=label) for label in (0, 2))
    np.testing.assert_array_equal(one.kl_per_layer[:, 0], other.kl_per_layer[:, 0])
    assert model.sample(2, condition=1, seed=3).shape == (2, 2, 2, 1)


def build_grey(options, image_shape, name):
    import keras

    class Grey(Prior, keras.layers.Layer):
        """The mean grey, known exactly up to a hundredth."""

        observed_shape = (1, 1, 1)

        def observe(self, image):
            return ops.mean(image, axis=(1, 2, 3), keepdims=True)

        def _gaussian(self, mean, log_std):
            return GaussianParameters(mean, ops.zeros_like(mean) + log_std)

        def infer(self, observed, noise):
            q = self._gaussian(observed, math.log(0.01))
            p = self._gaussian(ops.zeros_like(observed) + 0.5, math.log(0.3))
            z = q.mean + 0.01 * noise
            kl = math.log(30) - 0.5 + 0.5 * (1e-4 + ops.square(q.mean - 0.5)) / 0.09
            kl = ops.reshape(kl, (-1,))
            return LatentOutput(z, kl, ops.zeros_like(kl), q, p, noise)

        def posterior_along(self, observed, z):
            return LayerPosterior(self._gaussian(observed, math.log(0.01)), None)

        def generate(self, noise, temperature):
            return 0.5 + 0.3 * temperature * noise

        def context(self, z):
            return ops.broadcast_to(z, (ops.shape(z)[0], *image_shape[:2], 1))

    return Grey(name=name)


class GreyPlugin:
    def __init__(self, *supports):
        self.supports = supports

    @hookimpl
    def hvae_component(self):
        return ComponentSpec(
            kind="prior", name="grey", summary="The mean grey", builder=build_grey,
            latent_shape=lambda options, image_shape: (1, 1, 1),
            context_channels=lambda options, image_shape: 1, supports=self.supports,
        )  # fmt: skip


@contextlib.contextmanager
def plugged(plugin):
    manager().register(plugin)
    try:
        yield
    finally:
        manager().unregister("prior", "grey")


def test_a_third_party_s_prior_is_known_to_the_layers_below():
    with plugged(GreyPlugin()):
        model = make(prior="grey")
    noise = [np.zeros((1, *shape), np.float32) for shape in model.latent_shapes]
    dark, bright = (
        ops.convert_to_numpy(model.generate([np.full((1, 1, 1, 1), u, np.float32), noise[1]]))
        for u in (-1.0, 1.0)
    )
    assert np.abs(dark - bright).max() > 1e-5
    mean = ALL[:5].astype("d").mean(axis=(1, 2, 3)) / 255
    kl = math.log(30) - 0.5 + 0.5 * (1e-4 + (mean - 0.5) ** 2) / 0.09
    np.testing.assert_allclose(model.elbo(ALL[:5]).kl_per_layer[:, 0], kl, rtol=1e-5)
