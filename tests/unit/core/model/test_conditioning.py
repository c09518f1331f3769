"""A condition in the hierarchy, and an encoder that sees more than the image."""

import dataclasses

import keras
import numpy as np
import pytest
from keras import ops
from tiny import merged

from hvae_core.errors import BadInputError, ConfigError
from hvae_core.inference.programs import Generate
from hvae_core.interfaces import Condition, ConditionValues
from hvae_core.plugins import ComponentSpec, hookimpl, manager

pytestmark = pytest.mark.every_backend

LABEL = {"name": "label", "classes": 3, "width": 4, "dropout": 0.2}
#: two layers at one scale: little to compile
SMALL = {"resolutions": [2], "encoder_blocks": 1, "decoder_blocks": 2}
IMAGES = np.random.default_rng(5).integers(0, 255, (3, 2, 2, 1)).astype(np.uint8)


def make(random_weights=True, precision="float32", **model):
    from hvae_core.vae import HierarchicalVAE

    network = HierarchicalVAE(merged({"model": {**SMALL, **model}}), precision=precision)
    rng = np.random.default_rng(0)
    for weight in network.trainable_variables if random_weights else ():
        value = np.asarray(ops.convert_to_numpy(weight.value))
        weight.assign(value + rng.normal(0, 0.2, value.shape).astype("f"))
    return network


@pytest.fixture(scope="module")
def without():
    return make(random_weights=False)


@pytest.fixture(scope="module")
def conditional():
    return make(condition=LABEL)


@pytest.mark.parametrize(("entry", "prior"), [("add", True), ("film", True), ("film", False)])
def test_an_untrained_condition_changes_nothing(without, entry, prior):
    label = {**LABEL, "dropout": 0.2 if prior else 0.0}
    model = make(False, condition=label, conditioning={"entry": entry, "prior": prior})
    plain = without.elbo(IMAGES)
    for condition in (0, [0, 1, 2]):
        found = model.elbo(IMAGES, condition=condition)
        np.testing.assert_allclose(found.elbo, plain.elbo, rtol=1e-6)
    names = {w.path.partition("/")[2] for w in model.weights}
    assert {w.path.partition("/")[2] for w in without.weights} < names


def test_a_condition_changes_bound_samples_and_reconstructions(conditional):
    one, other = (conditional.elbo(IMAGES, condition=c) for c in (0, 2))
    assert np.abs(one.elbo - other.elbo).min() > 1e-3
    each = conditional.elbo(IMAGES, condition=[0, 2, 0])
    np.testing.assert_allclose(each.elbo[[0, 2]], one.elbo[[0, 2]], rtol=1e-5)
    np.testing.assert_allclose(each.elbo[1], other.elbo[1], rtol=1e-5)
    z = conditional.encode(IMAGES, condition=1)
    drawn = conditional.decode(z, condition=1)
    again = conditional.reconstruct(IMAGES, condition=1)
    np.testing.assert_array_equal(drawn, again)


@pytest.mark.parametrize(
    "condition", [{"name": "vector", "size": 1, "mean": [2000.0], "scale": [10.0]}, LABEL]
)
def test_a_model_of_bfloat16_is_told_the_condition_that_is_given(condition):
    """Years that bfloat16 would take for one have the embeddings of float32."""
    model, of_float32 = (
        make(precision=p, condition=condition) for p in ("mixed_bfloat16", "float32")
    )
    given = np.arange(2016, 2021)[:, None] if condition is not LABEL else [0, 1, 2]
    encoded = model.condition_values.encode(given, len(given))
    found, expected = (
        ops.convert_to_numpy(m.embed(ops.convert_to_tensor(encoded))) for m in (model, of_float32)
    )
    np.testing.assert_array_equal(found, expected)
    assert len(np.unique(found, axis=0)) == len(given)
    assert np.isfinite(model.elbo(IMAGES, condition=given[:3]).elbo).all()


def test_with_an_unconditional_prior_the_latents_know_nothing_of_the_condition():
    model = make(condition={**LABEL, "dropout": 0.0}, conditioning={"prior": False})
    noise = [np.random.default_rng(1).normal(size=(2, *s)).astype("f") for s in model.latent_shapes]
    embedding = model.embed(ops.convert_to_tensor(np.array([0, 2], np.int32)))
    same = [np.repeat(z[:1], 2, axis=0) for z in noise]
    stream, latents = model.decoder.generate(same, 1.0, embedding=embedding)
    for z in latents:
        z = ops.convert_to_numpy(z)
        np.testing.assert_array_equal(z[0], z[1])
    parameters = ops.convert_to_numpy(model.readout(latents, stream, embedding))
    assert np.abs(parameters[0] - parameters[1]).max() > 1e-3


def test_guidance_goes_from_the_null_condition_to_the_condition_and_beyond(conditional):
    rng = np.random.default_rng(2)
    inputs = {
        "noise": [rng.normal(size=(3, *s)).astype("f") for s in conditional.latent_shapes],
        "condition": np.array([0, 1, 2], np.int32),
    }

    def means(**more):
        return conditional.run(Generate(("mean",)), {**inputs, **more})["mean"]

    at_zero, at_one, beyond = (
        means(guidance=np.array([guidance], "f")) for guidance in (0.0, 1.0, 2.0)
    )
    np.testing.assert_allclose(at_one, means(), atol=2e-3)
    step, further = np.abs(at_one - at_zero).max(), np.abs(beyond - at_zero).max()
    assert further > step > 0.02
    with pytest.raises(BadInputError, match="guidance is -1"):
        conditional.sample(3, condition=1, guidance=-1)
    with pytest.raises(BadInputError, match="guidance is given, but no condition"):
        conditional.sample(3, guidance=2.0)


def test_an_encoder_may_see_further_channels(without):
    model = make(input_channels=2)
    seen = np.concatenate([IMAGES, np.zeros_like(IMAGES)], axis=-1).astype("f")
    masked = seen.copy()
    masked[..., 1] = 1.0
    one, other = (model.elbo(IMAGES, inputs=given).elbo for given in (seen, masked))
    assert np.abs(one - other).max() > 1e-4
    assert [f.shape for f in model.features(IMAGES, inputs=seen)] == [(3, 2, 2, 8)]
    with pytest.raises(BadInputError, match="encoder sees 2 channels"):
        model.elbo(IMAGES)
    with pytest.raises(BadInputError, match=r"inputs has shape \[3, 2, 2, 1\]"):
        model.elbo(IMAGES, inputs=seen[..., :1])
    np.testing.assert_allclose(
        without.elbo(IMAGES, inputs=IMAGES.astype("f")).elbo, without.elbo(IMAGES).elbo, rtol=1e-6
    )


def test_what_is_missing_or_too_much_is_told(without, conditional):
    with pytest.raises(BadInputError, match="the model has no condition"):
        without.sample(1, condition=2)
    with pytest.raises(BadInputError, match="no null condition"):
        without.sample(1, guidance=2.0)
    with pytest.raises(BadInputError, match=r"condition is 3; expected a class from 0 to 2"):
        conditional.elbo(IMAGES, condition=3)
    with pytest.raises(BadInputError, match="2 classes for 3 images"):
        conditional.elbo(IMAGES, condition=[0, 1])
    with pytest.raises(BadInputError, match="has a condition, and none is given"):
        conditional.infer(IMAGES, [np.zeros((3, 2, 2, 2), "f")] * 2)
    with pytest.raises(BadInputError, match="need the embedding of the condition"):
        conditional.posteriors_along([], [])


@pytest.mark.parametrize(
    ("model", "told"),
    [
        ({"conditioning": {"prior": False}, "condition": LABEL}, "model.condition.dropout is for"),
        (
            {"conditioning": {"prior": False}, "condition": {**LABEL, "dropout": 0.0},
             "readout": {"kind": "features"}},
            "which needs model.readout.kind: latents",
        ),
        ({"input_channels": 2, "image_channels": 3}, "model.input_channels is 2, but an image"),
        ({"condition": {"name": "label"}}, "model.condition.classes is missing"),
    ],
)  # fmt: skip
def test_what_does_not_go_together_is_refused(model, told):
    from hvae_core.config import parse_config

    with pytest.raises(ConfigError, match=told):
        parse_config({"model": model})


@dataclasses.dataclass(frozen=True)
class AngleConfig:
    width: int = 3


class Angle(Condition):
    """Sine and cosine of an angle in degrees, without weights."""

    width = 3

    def build(self, input_shape):
        self.built_for = input_shape

    def call(self, condition):
        condition = ops.convert_to_tensor(condition)
        angle, known = condition[:, :1] * (np.pi / 180), condition[:, 1:]
        return ops.concatenate([known * ops.sin(angle), known * ops.cos(angle), known], axis=-1)

    __call__ = call


class AnglePlugin:
    @hookimpl
    def hvae_component(self):
        return ComponentSpec(
            kind="condition",
            name="angle",
            summary="An angle",
            builder=lambda config, name: Angle(),
            config=AngleConfig,
            condition_values=lambda config: ConditionValues("numbers", 1, ("angle",)),
        )


def test_a_third_party_s_condition_enters_as_ours_do():
    manager().register(AnglePlugin())
    try:
        model = make(condition="angle")
        assert model.condition.built_for == (None, 2)
        one, turned, other = (
            model.elbo(IMAGES, condition=given).elbo for given in ([10.0], {"angle": 370}, [90.0])
        )
        np.testing.assert_allclose(turned, one, rtol=1e-4)
        assert np.abs(other - one).max() > 1e-3
    finally:
        manager().unregister("condition", "angle")


def test_a_counterfactual_under_its_own_condition_is_the_reconstruction(conditional):
    x = np.random.default_rng(0).integers(0, 256, (2, *conditional.image_shape)).astype(np.uint8)
    own = [1, 0]
    same = conditional.counterfactual(x, own, own=own, seed=3)
    expected = conditional.reconstruct(x, condition=own, seed=3)
    # A compiler may round a reconstruction in one program in another way.
    assert (same == expected).mean() > 0.98
    assert (conditional.counterfactual(x, [0, 1], own=own, seed=3) != same).any()
    with pytest.raises(BadInputError, match="condition"):
        conditional.counterfactual(x, 99, own=own)


def test_draws_from_a_measurement_are_of_the_condition(conditional):
    mask = np.array([[True, False], [True, True]])
    y = np.where(mask[..., None], IMAGES, 0)
    own = [0, 2, 1]
    drawn = conditional.posterior_sample(y, mask, n=2, condition=own, seed=3)
    expected = conditional.reconstruct(y, condition=own, seed=3)
    assert (drawn[0] == expected).mean() > 0.9
    other = conditional.posterior_sample(y, mask, n=2, condition=[1, 2, 1], seed=3)
    np.testing.assert_array_equal(other[:, 1:], drawn[:, 1:])
    assert (other[:, 0] != drawn[:, 0]).any()
    with pytest.raises(BadInputError, match="2 classes for 3 images"):
        conditional.posterior_sample(y, mask, condition=[0, 1])


FLOWS = {
    "sylvester": {"name": "sylvester", "orthogonal_vectors": 2},
    "planar": {"name": "planar"},
    "iaf": {"name": "iaf"},
    "conv-sylvester": {"name": "conv-sylvester", "channels": 4, "terms": 9},
}


@pytest.mark.skipif(keras.config.backend() != "torch", reason="the flows are proven elsewhere")
@pytest.mark.parametrize("flow", FLOWS.values(), ids=FLOWS)
def test_a_flow_sees_the_condition(flow):
    model = make(condition=LABEL, flow=flow)
    for weight in model.trainable_variables:
        if "condition" in weight.path:
            weight.assign(10 * weight)
    x = ops.convert_to_tensor(np.repeat(IMAGES[:1], 3, axis=0).astype("f"))
    noise = [ops.convert_to_tensor(np.ones((3, *s), "f")) for s in model.latent_shapes]
    labels = ops.convert_to_tensor(np.array([1, 2, 1], np.int32))
    first = model.posteriors(x, noise, condition=labels)[0]
    for part in (first.context, first.log_det, first.z, first.kl):
        found = ops.convert_to_numpy(part)
        np.testing.assert_allclose(found[0], found[2], rtol=1e-5)
        assert np.abs(found[0] - found[1]).max() > 1e-4
        assert np.isfinite(found).all()
