"""A second encoder that is trained on measurements, with the trained model fixed."""

import keras
import numpy as np
import pytest
from keras import ops

from hvae_core.interfaces import GaussianParameters, LatentOutput, LayerPosterior
from hvae_core.training.partial_posterior import PartialPosterior, freeze_all_but_encoder

# A linear-Gaussian model of two latents and two pixels, of which the first is measured:
# z_1 ~ N(0, 1), z_2 ~ N(0.8 z_1, 0.6^2), x_i ~ N(a_i z_1 + b_i z_2, 0.5^2).
MIXING = np.array([[1.0, -0.5], [0.4, 1.2]])
NOISE = 0.5


def joint():
    """The covariance of (z_1, z_2, x_1, x_2), all of mean 0."""
    to_z = np.array([[1.0, 0.0], [0.8, 0.6]])
    to_all = np.block([[to_z, np.zeros((2, 2))], [MIXING @ to_z, NOISE * np.eye(2)]])
    return to_all @ to_all.T


def conditional(target, given):
    """Weights and variance of one Gaussian number given others."""
    covariance = joint()
    weights = np.linalg.solve(covariance[np.ix_(given, given)], covariance[given, target])
    return weights, covariance[target, target] - covariance[target, given] @ weights


def maps(vector):
    return ops.reshape(vector, (-1, 1, 1, 1))


class Exact:
    """The exact q(z | x)."""

    def posteriors(self, x, noise, layers=None, condition=None):
        x1, x2 = x[:, 0, 0, 0], x[:, 0, 1, 0]
        results, z1 = [], None
        for target, given in ((0, [2, 3]), (1, [0, 2, 3])):
            weights, variance = conditional(target, given)
            known = [x1, x2] if z1 is None else [z1, x1, x2]
            mean = sum(float(w) * k for w, k in zip(weights, known, strict=True))
            log_std = ops.zeros_like(mean) + 0.5 * float(np.log(variance))
            q = GaussianParameters(maps(mean), maps(log_std))
            z = q.mean + ops.exp(q.log_std) * noise[target]
            z1 = z[:, 0, 0, 0]
            nothing = ops.zeros_like(z1)
            results.append(LatentOutput(z, nothing, nothing, q, q, noise[target]))
        return results


class Linear:
    """c(z | y): means linear in what is known, a standard deviation of each layer."""

    image_shape = (1, 2, 1)
    flows = (None, None)

    def __init__(self):
        self.first = keras.Variable(np.zeros(3, np.float32))  # y, bias, log_std
        self.second = keras.Variable(np.zeros(4, np.float32))  # z_1, y, bias, log_std
        self.weights = [self.first, self.second]

    def bottom_up(self, inputs):
        return [inputs[:, 0, 0, 0]]

    def embed(self, condition):
        return None

    def posteriors_along(self, features, latents, embedding=None):
        y, z1 = features[0], latents[0][:, 0, 0, 0]
        a, b = self.first.value, self.second.value
        means = (a[0] * y + a[1], b[0] * z1 + b[1] * y + b[2])
        deviations = (a[2] + 0 * y, b[3] + 0 * y)
        return [
            LayerPosterior(GaussianParameters(maps(m), maps(s)), None)
            for m, s in zip(means, deviations, strict=True)
        ]


def kl(mean, variance, other_mean, other_variance):
    ratio = variance / other_variance
    return 0.5 * (ratio + (mean - other_mean) ** 2 / other_variance - 1 - np.log(ratio))


@pytest.mark.skipif(keras.config.backend() != "torch", reason="trained with PyTorch")
def test_the_second_encoder_becomes_the_exact_posterior_of_what_was_measured():
    import torch

    from hvae_core.interfaces.batch import Batch

    rng = np.random.default_rng(0)
    network = Linear()
    objective = PartialPosterior(network, Exact())
    optimizer = torch.optim.Adam([w.value for w in network.weights], lr=0.05)
    steps = 400
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        drawn = rng.multivariate_normal(np.zeros(4), joint(), 1024)
        x = drawn[:, None, 2:, None].astype(np.float32)
        measured = np.where([[True], [False]], x, 0.0).astype(np.float32)
        noise = rng.standard_normal((2, 1024, 1, 1, 1)).astype(np.float32)
        batch = Batch(ops.convert_to_tensor(x), ops.convert_to_tensor(measured))
        optimizer.zero_grad()
        objective(batch, [ops.convert_to_tensor(n) for n in noise]).total.backward()
        optimizer.step()
        schedule.step()
    (slope, bias, log_std) = ops.convert_to_numpy(network.first)
    (of_z, of_y, bias_2, log_std_2) = ops.convert_to_numpy(network.second)
    y, z = 1.5, -0.7
    (weight,), variance = conditional(0, [2])
    assert kl(weight * y, variance, slope * y + bias, np.exp(2 * log_std)) < 1e-3
    weights, variance = conditional(1, [0, 2])
    exact = weights @ [z, y]
    assert kl(exact, variance, of_z * z + of_y * y + bias_2, np.exp(2 * log_std_2)) < 1e-3
    # Started from what q(z | x) says of an image whose second pixel is the fill, it is far.
    weights, variance_2 = conditional(0, [2, 3])
    (weight,), variance = conditional(0, [2])
    assert kl(weight * y, variance, weights @ [y, 0.0], variance_2) > 0.2


TRAIN = {
    "objective": "partial-posterior", "optimizer": "adam", "ema_decay": 0.9, "weight_decay": 0.1,
    "decay_all_weights": True, "learning_rate": 0.01,
}  # fmt: skip
COLUMNS = "columns:0.25,fill=0"


def is_second_encoder(name):
    return name.startswith("encoder.") or ".posterior." in name or ".flow." in name


def batch_of(images, known):
    from hvae_core.data.observing import as_seen
    from hvae_core.interfaces import Batch

    mask = np.zeros(images.shape[:3], bool)
    mask[..., :known] = True
    return Batch(images, as_seen(np.where(mask[..., None], images, 0), mask, 2))


@pytest.mark.every_backend
def test_updates_change_the_second_encoder_alone_and_go_on_from_a_checkpoint(make_model, images):
    from hvae_core.training.step import build_step
    from hvae_core.weights import model_arrays

    model = make_model(measurement=COLUMNS, model={"input_channels": 2}, train=TRAIN)
    whole, part = batch_of(images[:4], 8), batch_of(images[:4], 2)
    # A second encoder that does not look at the mask is the first one, where all is known.
    arrays = model_arrays(model)
    stem = arrays["encoder.stem.kernel"].copy()
    stem[:, :, 1] = 0
    model.encoder.stem.kernel.assign(stem)
    before = model_arrays(model)
    step = build_step(model, model.config.train)
    first = step.read(step(whole, step=0, learning_rate=0.0, beta=1.0))
    assert abs(first["posterior_kl"]) < 1e-6
    figures = step.read(step(part, step=1, learning_rate=0.01, beta=1.0))
    assert figures["posterior_kl"] > 1e-4
    assert figures["loss"] == pytest.approx(figures["posterior_kl"])
    state = step.state()
    kept = {name.removeprefix("teacher.") for name in state if name.startswith("teacher.")}
    after = step.weights()
    with step.ema_weights():
        averaged = model_arrays(model)
    for name, array in before.items():
        if is_second_encoder(name):
            assert name in kept
            assert not np.array_equal(after[name], array) or not array.any(), name
        else:
            np.testing.assert_array_equal(after[name], array, err_msg=name)
            np.testing.assert_array_equal(averaged[name], array, err_msg=name)
            assert name not in kept
            assert f"ema.{name}" not in state
    held_out = step.validate([part], seed=0)
    # A run that goes on has another start, of which nothing is left.
    again = make_model(measurement=COLUMNS, model={"input_channels": 2}, train=TRAIN)
    other = build_step(again, again.config.train)
    other.load(after, state, "here")
    assert other.validate([part], seed=0) == pytest.approx(held_out, rel=1e-5)
    for one in (step, other):
        one(part, step=2, learning_rate=0.01, beta=1.0)
    for name, array in step.weights().items():
        np.testing.assert_array_equal(array, other.weights()[name], err_msg=name)


@pytest.mark.parametrize(
    ("model", "also"),
    [
        ({"latent_heads": True}, {"decoder.blocks.3.posterior_head.kernel"}),
        ({"attention": "davi"}, {"attention.layers.0.posterior.gate", "attention.scales.8x8.key"}),
    ],
    ids=["heads", "attention"],
)
def test_all_that_posterior_passes_alone_read_is_learned(make_model, images, model, also):
    """No weight that changes p(z), and each one that the posteriors depend on."""
    from hvae_core.weights import weight_names

    built = make_model(measurement=COLUMNS, model={"input_channels": 2, **model}, train=TRAIN)
    before = built.sample(2, seed=0)
    latents = built.encode(images, inputs=batch_of(images, 8).inputs).posterior_mean
    freeze_all_but_encoder(built)
    rng = np.random.default_rng(0)
    learned = {name: v for name, v in weight_names(built).items() if v.trainable}
    assert {name for name in learned if any(name.startswith(part) for part in also)}
    for variable in learned.values():
        variable.assign(variable + rng.normal(0, 0.1, variable.shape).astype("f"))
    np.testing.assert_array_equal(built.sample(2, seed=0), before)
    after = built.encode(images, inputs=batch_of(images, 8).inputs).posterior_mean
    assert all(np.abs(a - b).max() > 1e-3 for a, b in zip(after, latents, strict=True))
    fixed = [name for name in weight_names(built) if name not in learned]
    assert not [name for name in fixed if "posterior" in name]


INVERTED = {
    "sylvester": {"name": "sylvester", "orthogonal_vectors": 2},
    "planar": {"name": "planar"},
    "conv-sylvester": {"name": "conv-sylvester", "channels": 4, "terms": 9},
}


@pytest.mark.parametrize("flow", INVERTED.values(), ids=INVERTED)
def test_with_a_flow_it_is_0_where_all_is_known(make_model, images, flow):
    from hvae_core.prob.noise import Noise, draw_normal

    model = make_model(measurement=COLUMNS, model={"flow": flow}, train=TRAIN)
    objective = PartialPosterior.of(model)
    noise = Noise.from_flat(draw_normal(model.latent_shapes, 4, 0), model.latent_shapes)
    noise = [ops.convert_to_tensor(layer) for layer in noise.layers]
    seen = ops.convert_to_tensor(images[:4].astype(np.float32))
    from hvae_core.interfaces import Batch

    found = ops.convert_to_numpy(objective.divergences(Batch(seen, seen), noise))
    np.testing.assert_allclose(found, 0, atol=2e-3)
    unlike = objective.divergences(Batch(seen, ops.zeros_like(seen)), noise)
    # Of one draw: an estimate, which may be negative.
    assert np.abs(ops.convert_to_numpy(unlike)).max() > 0.01


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"train": TRAIN}, "partial-posterior, but measurement is none"),
        ({"measurement": "columns:9"}, "known is 9; the images have 8 columns"),
        ({"measurement": COLUMNS, "model": {"input_channels": 3}}, "it must be 1, or 2 for the"),
        (
            {"measurement": COLUMNS, "train": TRAIN, "regularizer": "cr-vae"},
            "which has no regularizer",
        ),
        (
            {"measurement": COLUMNS, "train": TRAIN, "model": {"flow": "iaf"}},
            "needs the inverse of model.flow with its gradient; 'iaf'",
        ),
    ],
)
def test_what_cannot_be_is_refused(changes, sentence):
    from pydantic import ValidationError
    from tiny import merged

    with pytest.raises(ValidationError, match=sentence):
        merged(changes)


def test_a_run_shows_measurements_to_the_encoder_and_starts_from_weights(
    make_model, images, tmp_path
):
    """Whatever is not the encoder's stays as it was; a stem gets weights for the mask."""
    import hvae_core as hvae
    from hvae_core.errors import ConfigError

    start = make_model().save(tmp_path / "start")
    options = {
        "measurement": COLUMNS, "model.input_channels": 2, "train.objective": "partial-posterior",
        "train.steps": 2, "train.sample_epochs": 0, "train.tensorboard": False,
        "train.validation_fraction": 0.5, "train.batch_size": 4,
    }  # fmt: skip
    data = np.concatenate([images] * 2)[:8]
    with pytest.raises(ConfigError, match="needs a trained model"):
        hvae.train(str(start), tmp_path / "none", overrides=options, dataset=data)
    assert not (tmp_path / "none").exists()
    hvae.train(str(start), tmp_path / "run", overrides=options, dataset=data, weights=start)
    model = hvae.load(tmp_path / "run")
    assert model.encoder_shape == (8, 8, 2)
    assert (model.fill, model.measurement.options.known) == (0.0, 0.25)
    before = dict(hvae_arrays(start))
    for name, array in hvae_arrays(tmp_path / "run"):
        if not is_second_encoder(name):
            np.testing.assert_array_equal(array, before[name], err_msg=name)
    lines = (tmp_path / "run" / "metrics.jsonl").read_text()
    assert "posterior_kl" in lines.splitlines()[-1].partition('"validation"')[2]
    y, mask = model.measurement.measure(images[0], np.random.default_rng(0))
    drawn = model.posterior_sample(y[None], mask, n=2, keep_known=True)
    assert (drawn[:, 0][:, mask] == images[0][mask]).all()
    figures = hvae.evaluate(model, data)
    assert figures["images"] == 8


def hvae_arrays(folder):
    import hvae_core as hvae
    from hvae_core.weights import model_arrays

    return model_arrays(hvae.load(folder)).items()
