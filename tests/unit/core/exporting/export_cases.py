"""What the tests of the formats share."""

import numpy as np

MODEL = {
    "resolutions": [4, 1],
    "image_channels": 3,
    "width": 8,
    "encoder_middle_width": 4,
    "decoder_middle_width": 4,
    "latent_width": 4,
    "encoder_blocks": 1,
    "decoder_blocks": [2, 1],
    "readout": {"width": 8, "middle_width": 4, "blocks": 1},
}


def random_model(likelihood=None, values=None, measurement=None, **changes):
    """A tiny model whose weights are far from their start."""
    from keras import ops

    import hvae_core as hvae

    config = {
        "model": {**MODEL, **changes},
        "measurement": measurement,
        "likelihood": likelihood or {"name": "logistic-mixture", "mixtures": 2},
        **({"data": {"name": "python", "values": values}} if values else {}),
    }
    model = hvae.build(config)
    rng = np.random.default_rng(1)
    for variable in model.trainable_variables:
        value = ops.convert_to_numpy(variable.value)
        variable.assign(value + rng.normal(0, 0.1, value.shape).astype("float32"))
    return model


def assert_the_same(exported, model, images, tolerance):
    """Figures within a tolerance in nats; images but for a pixel at a threshold."""
    ours, theirs = exported.elbo(images, seed=3), model.elbo(images, seed=3)
    for name in ("elbo", "log_likelihood", "kl_per_layer"):
        np.testing.assert_allclose(
            getattr(ours, name), getattr(theirs, name), rtol=tolerance, atol=tolerance
        )
    scales = np.linspace(0.3, 0.7, len(model.latent_shapes)).tolist()
    _assert_close(exported.sample(5, scales, 1), model.sample(5, scales, 1))


def assert_all_the_same(exported, model, images):
    """All that can be computed."""
    assert_the_same(exported, model, images, 1e-4)
    np.testing.assert_allclose(
        exported.log_likelihood(images, 2), model.log_likelihood(images, 2), rtol=1e-4
    )
    pairs = [
        *(
            (exported.reconstruct(images, k, seed=2), model.reconstruct(images, k, seed=2))
            for k in (1, None)
        ),
        (exported.interpolate(*images[:2], 3), model.interpolate(*images[:2], 3)),
    ]
    encoded, leading = exported.encode(images, seed=2), exported.encode(images, layers=1, seed=2)
    np.testing.assert_array_equal(
        exported.decode(encoded, seed=2), exported.reconstruct(images, seed=2)
    )
    np.testing.assert_array_equal(
        exported.decode(leading, seed=2), exported.reconstruct(images, 1, seed=2)
    )
    theirs = model.encode(images, seed=2)
    for name in ("z", "posterior_mean", "posterior_log_std", "prior_mean", "prior_log_std"):
        for one, other in zip(getattr(encoded, name), getattr(theirs, name), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(encoded.kl_per_layer, theirs.kl_per_layer, rtol=1e-4, atol=1e-4)
    for one, other in zip(exported.features(images), model.features(images), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)
    for one, other in pairs:
        _assert_close(one, other)


def assert_native(exported, model, images):
    """Densities, and images in native values."""
    ours, theirs = exported.elbo(images, seed=3), model.elbo(images, seed=3)
    np.testing.assert_allclose(ours.elbo, theirs.elbo, rtol=1e-4)
    assert (ours.bits_per_dim is None) == (images.dtype == np.float32)
    _assert_close(exported.reconstruct(images), model.reconstruct(images))
    assert_native_samples(exported, model)


def assert_native_samples(exported, model):
    assert exported.image_values == model.image_values
    drawn, expected = exported.sample(3, seed=1), model.sample(3, seed=1)
    assert drawn.dtype == expected.dtype == model.image_values.dtype
    _assert_close(drawn, expected)


def _assert_close(one, other):
    """Images alike but for a pixel at a threshold; in 16 bits but for the last level."""
    assert one.shape == other.shape
    if one.dtype == np.uint8:
        assert (one != other).mean() < 0.01
    else:
        np.testing.assert_allclose(
            one, other, rtol=1e-3, atol=1.0 if one.dtype == np.uint16 else 1e-3
        )


def assert_completes_the_same(exported, model, images, condition=None):
    """Images drawn from measurements, of a model whose encoder sees a mask."""
    from hvae_core.inference.programs import Complete, Infer

    mask = np.zeros(images.shape[:3], bool)
    mask[:, :, ::2] = True
    y = np.where(mask[..., None], images, 0)
    for layers in (None, 1):
        drawn, expected = (
            one.posterior_sample(y, mask, 4, layers, seed=1, condition=condition)
            for one in (exported, model)
        )
        _assert_close(drawn.images, expected.images)
    seen = np.concatenate([y, mask[..., None]], axis=-1).astype(np.float32)
    given = {"images": y, "inputs": seen, "noise": []}
    features = model.run(Infer(("features",)), given)["features"]
    ours = exported.run(Infer(("features",)), given)["features"]
    for a, b in zip(ours, features, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)
    noise = [np.ones((len(y), *shape), np.float32) for shape in model.latent_shapes]
    inputs = {"features": features, "noise": noise}
    if condition is not None:
        inputs["condition"] = model.condition_values.encode(condition, len(y))
    means = [one.run(Complete(("mean",)), inputs)["mean"] for one in (exported, model)]
    np.testing.assert_allclose(means[0], means[1], rtol=1e-4, atol=1e-3)
    bounds = [one.elbo(images, inputs=seen, condition=condition).elbo for one in (exported, model)]
    np.testing.assert_allclose(bounds[0], bounds[1], rtol=1e-4)


def assert_conditional_the_same(exported, model, images, condition):
    """What a model with a label draws of a class, with guidance, and under another class."""
    assert exported.condition_values == model.condition_values
    for guidance in (None, 2.0):
        drawn, expected = (
            one.sample(len(images), seed=1, condition=condition, guidance=guidance)
            for one in (exported, model)
        )
        _assert_close(drawn, expected)
    pair = [one.sample(2, seed=1, condition=0) for one in (exported, exported)]
    np.testing.assert_array_equal(*pair)
    assert (exported.sample(2, seed=1, condition=1) != pair[0]).any()
