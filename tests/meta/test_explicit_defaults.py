"""No layer or operation of ours takes its data format or dtype from the user's ``keras.json``."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted(
    path
    for room in ("hvae_core", "hvae_plugins", "examples")
    for path in (ROOT / room).rglob("*.py")
)
#: calls by the last part of their name, and the keyword that has to be there; of Keras's layers,
#: operations and random numbers, those whose default is a process-wide setting
FORMATS = {
    *("Conv1D", "Conv2D", "Conv3D", "Conv2DTranspose", "DepthwiseConv1D", "DepthwiseConv2D"),
    *("SeparableConv1D", "SeparableConv2D", "AveragePooling2D", "MaxPooling2D", "Flatten"),
    *("GlobalAveragePooling2D", "GlobalMaxPooling2D", "UpSampling2D", "ZeroPadding2D"),
    *("Cropping2D", "Resizing", "CenterCrop", "RandomCrop", "SpatialDropout2D"),
    *("ops.conv", "ops.conv_transpose", "ops.depthwise_conv", "ops.separable_conv"),
    *("ops.average_pool", "ops.max_pool", "ops.adaptive_average_pool", "ops.adaptive_max_pool"),
    *(
        "ops.image.resize",
        "ops.image.crop_images",
        "ops.image.pad_images",
        "ops.image.affine_transform",
    ),
    *("ops.image.rgb_to_grayscale", "ops.image.extract_patches", "ops.image.gaussian_blur"),
}
DTYPES = {
    *("ops.zeros", "ops.ones", "ops.full", "ops.empty", "ops.eye", "ops.identity", "ops.one_hot"),
    *("ops.linspace", "ops.logspace", "ops.tri", "ops.multi_hot"),
    *("random.normal", "random.uniform", "random.truncated_normal", "random.gamma", "random.beta"),
    *("keras.Variable", "metrics.Mean", "metrics.Sum"),
}
#: layers whose axis follows no setting, and so has to be said
AXES = {"GroupNormalization", "LayerNormalization", "BatchNormalization", "RMSNormalization"}
#: where the setting is fixed around the call, with the reason
FIXED = {"hvae_core/evaluation/keras_model.py": {"metrics.Mean"}}  # inside `dtype_policy`


def required(function):
    """The keyword that a call of ``function`` has to have, or None."""
    parts = function.split(".")
    names = {".".join(parts[-count:]) for count in (1, 2, 3)}
    if "np" in parts or "numpy" in parts or "tf" in parts or "torch" in parts:
        return None
    for known, keyword in ((FORMATS, "data_format"), (DTYPES, "dtype"), (AXES, "axis")):
        if names & known:
            return keyword
    return None


def implicit(tree):
    """Calls that leave out the keyword, as (function, line)."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            function = ast.unparse(node.func)
            keyword = required(function)
            if keyword and keyword not in {word.arg for word in node.keywords}:
                yield function, node.lineno


def test_data_format_dtype_and_axis_are_said():
    found = [
        f"{name}:{line}: {function}"
        for name, path in ((path.relative_to(ROOT).as_posix(), path) for path in SOURCES)
        for function, line in implicit(ast.parse(path.read_text(encoding="utf-8")))
        if ".".join(function.split(".")[-2:]) not in FIXED.get(name, ())
    ]
    assert found == [], f"say data_format=, dtype= or axis= in {found}"


@pytest.mark.parametrize(
    ("call", "found"),
    [
        ("keras.layers.Conv2D(3, 1)", True),
        ("keras.layers.Conv2D(3, 1, data_format='channels_last')", False),
        ("ops.average_pool(x, 2)", True),
        ("keras.random.normal((2,), seed=1)", True),
        ("np.random.normal((2,))", False),
        ("ops.zeros((2,), dtype='float32')", False),
        ("ops.zeros_like(x)", False),
    ],
)
def test_what_is_implicit_is_found(call, found):
    assert bool(list(implicit(ast.parse(call)))) == found
