"""Efficient-VDVAE's hyper-parameters in our terms.

A level of the original is a scale here, which may have the size of the one before it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hvae_core.errors import ConfigError
from hvae_core.files.foreign_numbers import finite_number, whole_number
from hvae_plugins.importers.efficient_vdvae.hyperparameters import Hyperparameters

#: what all its networks have in common
ORIGINAL_MODEL: dict[str, Any] = {
    "skip_projections": True,
    "pooling": "convolution",
    "latent_heads": True,
    "block_activation": "silu",
    "pool_activation": "leaky_relu",
    "leaky_relu_slope": 0.1,
}
#: lists with a value for each level, on the way up finest first, on the way down coarsest first
_UP = (
    "up_strides", "up_n_blocks_per_res", "up_n_blocks", "up_n_layers", "up_filters",
    "up_mid_filters_ratio", "up_kernel_size", "up_skip_filters",
)  # fmt: skip
_DOWN = (
    "down_strides", "down_n_blocks_per_res", "down_n_blocks", "down_n_layers", "down_filters",
    "down_mid_filters_ratio", "down_kernel_size", "down_latent_variates",
)  # fmt: skip
#: the least of those that count what is built; the others are told of under our names
_LEAST = {"up_n_blocks_per_res": 0, "up_n_blocks": 1, "down_n_blocks_per_res": 0}
_RATIOS = ("up_mid_filters_ratio", "down_mid_filters_ratio")
_FOLDERS = {"celebA": "celeba", "celebAHQ": "celebahq", "ffhq": "ffhq"}


def translate(hyperparameters: Hyperparameters) -> dict[str, Any]:
    """A mapping for `hvae_core.config.parse_config`.

    Raises:
        ConfigError: a key is missing, or they describe a network that the original cannot run or
            this toolkit cannot express.
    """
    data, model = hyperparameters["data"], hyperparameters["model"]
    side, channels = _whole(data, "data.target_res"), _whole(data, "data.channels")
    is_mnist = _get(data, "data.dataset_source") == "binarized_mnist"
    bits = _number(data, "data.num_bits")
    if bits != int(bits) or not 1 <= bits <= 8:
        raise ConfigError(f"data.num_bits is {bits}; expected a whole number from 1 to 8.")
    levels = 256 if is_mnist else 2 ** int(bits)
    network = {
        **_network(model, side),
        "image_channels": channels,
        **({"input_mean": 0.0, "input_scale": 255.0} if is_mnist else {}),
        **({"input_levels": levels} if levels < 256 else {}),
    }
    return {
        "model": network,
        "likelihood": _likelihood(hyperparameters, is_mnist, channels, levels),
        "data": _data(data, side, channels),
        "train": _training(hyperparameters),
    }


def encoder_cells(hyperparameters: Hyperparameters) -> list[int]:
    """Residual cells in a block of each level of the way up, finest first."""
    return _levels(hyperparameters["model"], "up_n_blocks")


def _network(model: Mapping[str, Any], side: int) -> dict[str, Any]:
    up = {key: _levels(model, key) for key in _UP}
    down = {key: _levels(model, key)[::-1] for key in _DOWN}  # finest first, too
    strides = up["up_strides"]
    for key, values in {**up, **down}.items():
        if len(values) != len(strides):
            raise ConfigError(
                f"model.{key} has {len(values)} values; model.up_strides has {len(strides)}."
            )
    if down["down_strides"] != strides:
        raise ConfigError(
            "model.down_strides is not model.up_strides reversed, as in the original."
        )
    if not strides or strides[-1] != 1:
        raise ConfigError(
            "model.up_strides does not end with 1; the original cannot train what is pooled there."
        )
    sizes = [side]
    for stride in strides[:-1]:
        if type(stride) is not int or stride < 1 or sizes[-1] % stride:
            raise ConfigError(f"model.up_strides has {stride}, which does not divide {sizes[-1]}.")
        sizes.append(sizes[-1] // stride)
    widths = [_whole(model, "model.input_conv_filters"), *up["up_filters"][:-1]]
    decoder_widths = down["down_filters"]
    for level, stride in enumerate(strides[:-1]):
        for key, values in (("up_filters", widths), ("down_filters", decoder_widths)):
            if stride == 1 and values[level] != values[level + 1]:
                raise ConfigError(
                    f"model.{key} changes from {values[level]} to {values[level + 1]} where the "
                    "stride is 1, which the original cannot run."
                )
    if up["up_skip_filters"] != decoder_widths:
        raise ConfigError(
            "model.up_skip_filters are not model.down_filters level by level, without which the "
            "original's PyTorch edition cannot run."
        )
    for key in ("up_kernel_size", "down_kernel_size"):
        _check_odd(key, {**up, **down}[key])
    base = _get(model, "model.distribution_base")
    if base not in ("std", "logstd"):
        raise ConfigError(f"model.distribution_base is {base!r}; expected 'std' or 'logstd'.")
    scales: dict[str, list[Any]] = {
        "resolutions": sizes,
        "width": widths,
        "decoder_width": decoder_widths,
        "encoder_middle_width": _middle(widths, up["up_mid_filters_ratio"]),
        "decoder_middle_width": _middle(decoder_widths, down["down_mid_filters_ratio"]),
        "latent_width": down["down_latent_variates"],
        "encoder_blocks": [
            (1 + blocks) * cells
            for blocks, cells in zip(up["up_n_blocks_per_res"], up["up_n_blocks"], strict=True)
        ],
        "decoder_blocks": [1 + blocks for blocks in down["down_n_blocks_per_res"]],
        "residual_blocks": down["down_n_blocks"],
        "encoder_middle_layers": up["up_n_layers"],
        "decoder_middle_layers": down["down_n_layers"],
        "encoder_kernel_size": up["up_kernel_size"],
        "decoder_kernel_size": down["down_kernel_size"],
    }
    result: dict[str, Any] = {
        key: values[0] if key != "resolutions" and len(set(values)) == 1 else values
        for key, values in scales.items()
    }
    if result["decoder_width"] == result["width"]:
        del result["decoder_width"]
    if not _get(model, "model.use_1x1_conv"):
        result["block"] = {"name": "bottleneck", "pointwise": False}
    return {
        **result,
        **ORIGINAL_MODEL,
        "stem_kernel_size": _side(model, "input_kernel_size"),
        "no_bias_above": side,
        "standard_deviation": "softplus" if base == "std" else "scaled-exp",
        "softplus_beta": _number(model, "model.gradient_smoothing_beta"),
        "relative_posterior": bool(_get(model, "model.use_residual_distribution")),
        "readout": {
            "kind": "features",
            "gain": False,
            "kernel_size": _side(model, "output_kernel_size"),
        },
    }


def _likelihood(
    hyperparameters: Hyperparameters, is_mnist: bool, channels: int, levels: int
) -> dict[str, Any]:
    if is_mnist:
        return {"name": "bernoulli", "margin": 2}
    if channels != 3:
        raise ConfigError(f"data.channels is {channels}; the original's mixture is of 3.")
    model, loss = hyperparameters["model"], hyperparameters["loss"]
    # Before they had keys of their own, the mixture followed the latents.
    base = model.get("output_distribution_base", model.get("distribution_base"))
    key = "output_gradient_smoothing_beta"
    beta = _number(model, f"model.{key if key in model else 'gradient_smoothing_beta'}")
    if base not in ("std", "logstd"):
        raise ConfigError(f"model.output_distribution_base is {base!r}; expected 'std', 'logstd'.")
    return {
        "name": "logistic-mixture",
        "mixtures": _whole(model, "model.num_output_mixtures"),
        "gradient_smoothing": base == "std",
        "smoothing_beta" if base == "std" else "log_scale_factor": beta,
        "log_scale_floor": _number(loss, "loss.min_mol_logscale"),
        **({"levels": levels} if levels < 256 else {}),
        **({"convention": "efficient-vdvae"} if levels < 256 or base == "logstd" else {}),
    }


def _data(data: Mapping[str, Any], side: int, channels: int) -> dict[str, Any]:
    source = _get(data, "data.dataset_source")
    flip = bool(data.get("random_horizontal_flip", False))
    if source == "binarized_mnist":
        return {"name": "mnist", "padding": 2, "binarization": "dynamic"}
    if source == "cifar-10":
        return {"name": "cifar10", "flip": flip}
    if source == "imagenet" and side in (32, 64):
        return {"name": f"imagenet{side}", "flip": flip}
    if not isinstance(source, str):
        raise ConfigError(f"data.dataset_source is {source!r}; expected text.")
    root = f"{_FOLDERS.get(source, source)}{side}"
    folder = {"name": "image-folder", "root": root, "size": side, "flip": flip}
    return folder if channels == 3 else {**folder, "channels": channels}


def _training(hyperparameters: Hyperparameters) -> dict[str, Any]:
    """The PyTorch edition's rules, with the JAX edition's cosine: see `Cosine`."""
    loss, optimizer = hyperparameters["loss"], hyperparameters["optimizer"]

    def number(key: str) -> int | float:
        return _number(hyperparameters[key.partition(".")[0]], key)

    def count(key: str) -> int:
        return _whole(hyperparameters[key.partition(".")[0]], key)

    rate = number("optimizer.learning_rate")
    result: dict[str, Any] = {
        "beta_1": number("optimizer.beta1"),
        "beta_2": number("optimizer.beta2"),
        "epsilon": number("optimizer.epsilon"),
        "learning_rate": rate,
        "final_learning_rate": min(rate, number("optimizer.min_learning_rate")),
        "warmup_steps": count("optimizer.warmup_steps"),
        "weight_decay": 0.0,
        "batch_size": count("train.batch_size"),
        "steps": count("train.total_train_steps"),
        "ema_decay": number("train.ema_decay"),
        "ema_warmup": False,
        "skip_start_step": 0,
        "skip_norm": 0.0,
    }
    if optimizer.get("type") in ("Adam", "Adamax"):
        result["optimizer"] = str(optimizer["type"]).lower()
    scheme = optimizer.get("learning_rate_scheme")
    if scheme == "cosine":
        result["schedule"] = {
            "name": "cosine",
            "decay_start": count("optimizer.decay_start"),
            "decay_steps": count("optimizer.decay_steps"),
        }
    else:
        result["schedule"] = "inverse-sqrt" if scheme == "noam" else "constant"
    if optimizer.get("clip_gradient_norm"):
        result["clip_norm"] = number("optimizer.gradient_clip_norm_value")
    if optimizer.get("gradient_skip"):
        result["skip_norm"] = number("optimizer.gradient_skip_threshold")
    if loss.get("variation_schedule") == "Linear":
        start = count("loss.vae_beta_anneal_start")
        result["beta_warmup_start"] = start
        result["beta_warmup"] = start + count("loss.vae_beta_anneal_steps")
        result["beta_minimum"] = number("loss.vae_beta_min")
    if loss.get("use_gamma_schedule"):
        # The original counts its first update as 0 and balances up to this one.
        result["kl_balancing_steps"] = count("loss.gamma_max_steps") + 1
        result["kl_balancing_scaled"] = bool(loss.get("scaled_gamma"))
    return result


def _middle(widths: list[Any], ratios: list[Any]) -> list[int]:
    return [int(width * ratio) for width, ratio in zip(widths, ratios, strict=True)]


def _get(section: Mapping[str, Any], key: str) -> Any:
    name = key.partition(".")[2]
    if name not in section:
        raise ConfigError(f"{key} is missing.")
    return section[name]


def _whole(section: Mapping[str, Any], key: str) -> int:
    return whole_number(_get(section, key), key)


def _number(section: Mapping[str, Any], key: str) -> int | float:
    return finite_number(_get(section, key), key)


def _levels(model: Mapping[str, Any], key: str) -> list[Any]:
    """A list of ratios or of whole numbers, by the key, one a level."""
    values = _get(model, f"model.{key}")
    if not isinstance(values, list):
        raise ConfigError(f"model.{key} is {str(values)[:60]!r}; expected a list of numbers.")
    named = {f"model.{key}[{level}]": value for level, value in enumerate(values)}
    if key in _RATIOS:
        return [finite_number(value, name) for name, value in named.items()]
    return [whole_number(value, name, _LEAST.get(key)) for name, value in named.items()]


def _side(model: Mapping[str, Any], key: str) -> int:
    """The side of a square kernel, which is given once or as a pair."""
    value = _get(model, f"model.{key}")
    sides = value if isinstance(value, list) else [value]
    if not sides or any(type(side) is not int for side in sides) or len(set(sides)) > 1:
        raise ConfigError(f"model.{key} is {value}; expected the side of a square.")
    _check_odd(key, sides)
    return int(sides[0])


def _check_odd(key: str, sides: list[Any]) -> None:
    even = [side for side in sides if type(side) is not int or side < 1 or side % 2 == 0]
    if even:
        raise ConfigError(
            f"model.{key} has {even[0]}; kernels of an even side are padded otherwise here."
        )
