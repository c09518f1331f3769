"""The same weights and the same noise give the same numbers on every backend.

Initial weights and noise are drawn by NumPy, so a configuration and seeds say everything; the
expected numbers were recorded once (``python tests/golden/test_backends_agree.py`` writes them)
and every backend is held to them, to 1e-4 relative and better. OpenVINO has no
gradients; those of the flows are tested by their contract.
"""

import json
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.every_backend

EXPECTED = Path(__file__).parent.parent / "fixtures" / "agreement.json"
CASES = {
    "latents": {
        "model": {
            "resolutions": [8, 4, 1], "image_channels": 3, "width": [8, 16, 16],
            "encoder_middle_width": 8, "decoder_middle_width": 8, "latent_width": 4,
            "encoder_blocks": [1, 2, 1], "decoder_blocks": [2, 1, 1],
            "readout": {"width": 16, "middle_width": 8, "blocks": 2},
        },
        "likelihood": {"name": "logistic-mixture", "mixtures": 3},
    },
    "features": {
        "model": {
            "resolutions": [4, 2, 1], "patch_size": 2, "image_channels": 3, "width": [8, 16, 16],
            "encoder_middle_width": 8, "decoder_middle_width": 8, "latent_width": 4,
            "encoder_blocks": 1, "decoder_blocks": [2, 1, 1], "block_activation": "gelu",
            "channel_change": "pad", "standard_deviation": "exp", "readout": {"kind": "features"},
        },
        "likelihood": {"name": "logistic-mixture", "mixtures": 3},
    },
    "bernoulli": {
        "model": {
            "resolutions": [8, 4, 2], "image_channels": 1, "width": 16, "norm": "group",
            "encoder_middle_width": 8, "decoder_middle_width": 8, "latent_width": 4,
            "encoder_blocks": 1, "decoder_blocks": 1, "conv": "depthwise5",
            "readout": {"width": 16, "middle_width": 8, "blocks": 1, "upsampling": "bilinear"},
        },
        "likelihood": "bernoulli",
    },
    "attention": {
        "model": {
            "resolutions": [8, 4, 2, 1], "image_channels": 1, "width": 8,
            "encoder_middle_width": 4, "decoder_middle_width": 4, "latent_width": 2,
            "encoder_blocks": [1, 0, 1, 1], "decoder_blocks": [2, 1, 0, 1],
            "readout": {"width": 8, "middle_width": 4, "blocks": 0},
            "attention": {"name": "davi", "query_width": 4, "queries": 2},
        },
        "likelihood": "bernoulli",
    },
    "sylvester": {
        "model": {
            "resolutions": [4, 1], "image_channels": 1, "width": 8, "encoder_middle_width": 4,
            "decoder_middle_width": 4, "latent_width": 4, "encoder_blocks": 1, "decoder_blocks": 1,
            "flow": {"name": "sylvester", "flows": 2, "orthogonal_vectors": 3},
            "readout": {"kind": "features"},
        },
        "likelihood": {"name": "logistic-mixture", "mixtures": 2},
    },
    "conv-sylvester": {
        "model": {
            "resolutions": [4, 1], "image_channels": 1, "width": 8, "encoder_middle_width": 4,
            "decoder_middle_width": 4, "latent_width": 4, "encoder_blocks": 1, "decoder_blocks": 1,
            "flow": {"name": "conv-sylvester", "channels": 4, "levels": 2, "terms": 9,
                     "scales": [True, False]},
            "readout": {"kind": "features"},
        },
        "likelihood": "bernoulli",
    },
    "non-square": {
        "model": {
            "resolutions": [[24, 16], [12, 4], [3, 2]], "image_channels": 2, "width": 8,
            "encoder_middle_width": 4, "decoder_middle_width": 4, "latent_width": 2,
            "encoder_blocks": [1, 0, 1], "decoder_blocks": 1, "no_bias_above": 0,
            "readout": {"width": 8, "middle_width": 4, "blocks": 0},
        },
        "likelihood": "noise-model",
        "data": {"name": "python", "values": {"dtype": "float32", "range": [0, 255]}},
    },
    "prior": {
        "model": {
            "resolutions": [4, 1], "image_channels": 3, "width": 8, "encoder_middle_width": 4,
            "decoder_middle_width": 4, "latent_width": 4, "encoder_blocks": 0, "decoder_blocks": 1,
            "prior": {"name": "diffusion-vampprior", "size": 2, "steps": 2, "width": 4,
                      "blocks": 1, "log_snr_max": 2, "log_snr_min": -2},
            "readout": {"kind": "features"},
        },
        "likelihood": "bernoulli",
    },
}  # fmt: skip
LABEL = {"name": "label", "classes": 3, "width": 4}
CASES["conditional-prior"] = {
    **CASES["prior"],
    "model": {**CASES["prior"]["model"], "condition": LABEL},
}


def generator(stream: int, image: int) -> np.random.Generator:
    """What drew the noise when the numbers were recorded."""
    return np.random.Generator(np.random.SFC64(np.random.SeedSequence([1, stream, image])))


def figures(case: str) -> dict:
    """ELBO, its parts, the gradient norms of three updates and a sample, in numbers."""
    import keras
    from keras import ops

    from hvae_core.backends.compiling import Program, compiled, value_and_grad
    from hvae_core.config import Config
    from hvae_core.prob.noise import Noise, total_size
    from hvae_core.vae import HierarchicalVAE

    # The numbers were recorded with the defaults of format 1.
    config = Config.model_validate({"format": 1, **CASES[case]})
    model = HierarchicalVAE(config)
    rng = np.random.default_rng(0)
    for variable in model.trainable_variables:
        value = ops.convert_to_numpy(variable.value)
        # Keras draws some initial weights of flows and of labels, on each backend others.
        is_theirs = "/flow/" in variable.path or variable.path.endswith("condition/table")
        value = np.zeros_like(value) if is_theirs else value
        variable.assign(value + rng.normal(0, 0.05, value.shape).astype("float32"))
    images = rng.integers(0, 256, (4, *model.image_shape)).astype(np.uint8)
    flat = np.stack(
        [
            generator(0, image).standard_normal(total_size(model.latent_shapes), np.float32)
            for image in range(4)
        ]
    )
    shape = (*model.image_shape[:2], model.likelihood.noise_channels())
    uniform = np.stack([generator(1, image).random(shape, np.float32) for image in range(4)])

    of_images = {} if model.condition is None else {"condition": ops.arange(4, dtype="int32") % 3}

    def forward(x, noise, uniform):
        noise = Noise.from_flat(noise, model.latent_shapes)
        out = model.infer(x, noise, **of_images)
        kl = ops.stack([layer.kl for layer in out.layers], axis=-1)
        generated = model.generate(noise, 0.7, **of_images)
        image = model.likelihood.sample(generated, uniform)
        return out.log_likelihood, kl, generated, image

    def loss():
        out = model.infer(
            ops.convert_to_tensor(images),
            Noise.from_flat(ops.convert_to_tensor(flat), model.latent_shapes),
            **of_images,
        )
        return ops.mean(out.kl - out.log_likelihood), ()

    arrays = [ops.convert_to_tensor(a) for a in (images, flat, uniform)]
    program = compiled(forward, model.variables)
    outputs, again = (list(map(ops.convert_to_numpy, program(*arrays))) for _ in range(2))
    for one, other in zip(outputs, again, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, err_msg="a call leaves a trace")
    log_likelihood, kl, generated, image = outputs
    norms = None
    if keras.config.backend() != "openvino" and "flow" not in CASES[case]["model"]:
        program = Program(
            lambda: value_and_grad(loss, model.trainable_variables)[2],
            model.variables,
            compile=True,
        )
        norms = [float(np.linalg.norm(ops.convert_to_numpy(g))) for g in program()]
    return {
        "elbo": (log_likelihood - kl.sum(-1)).tolist(),
        "kl_per_layer": kl.tolist(),
        "generated_mean": generated.mean(axis=(1, 2)).tolist(),
        "gradient_norms": norms,
        "sample_mean": image.astype(np.float64).mean(axis=(1, 2, 3)).tolist(),
    }


#: one as a program on TensorFlow, where tracing takes ten times as long as computing
ALL = [pytest.param(c, marks=[pytest.mark.compiled] * (c == "features")) for c in CASES]


@pytest.mark.parametrize("case", ALL)
def test_this_backend_gives_the_recorded_numbers(case):
    expected = json.loads(EXPECTED.read_text())[case]
    actual = figures(case)
    np.testing.assert_allclose(actual["elbo"], expected["elbo"], rtol=1e-5)
    np.testing.assert_allclose(
        actual["kl_per_layer"], expected["kl_per_layer"], rtol=1e-4, atol=1e-4
    )
    np.testing.assert_allclose(actual["generated_mean"], expected["generated_mean"], atol=2e-5)
    if actual["gradient_norms"] is not None:
        np.testing.assert_allclose(
            actual["gradient_norms"], expected["gradient_norms"], rtol=1e-3, atol=1e-4
        )
    # A uniform number at a threshold may fall to either side: one level of a few pixels.
    np.testing.assert_allclose(actual["sample_mean"], expected["sample_mean"], atol=2.0)


if __name__ == "__main__":
    EXPECTED.write_text(json.dumps({case: figures(case) for case in CASES}, indent=1) + "\n")
