import pytest

from hvae_core.errors import ConfigError
from hvae_core.weights.parameter_groups import choose, patterns_of

NAMES = [
    "encoder.stem.kernel",
    "encoder.stem.bias",
    "decoder.blocks.0.prior.conv1.kernel",
    "decoder.blocks.0.posterior.conv1.kernel",
    "decoder.blocks.1.prior.conv1.kernel",
    "readout.out.kernel",
]


@pytest.mark.parametrize(
    ("patterns", "places"),
    [
        (["encoder"], [0, 1]),
        (["decoder.*.prior", "readout"], [2, 4, 5]),
        (["decoder.blocks.1"], [4]),
        (["*.bias"], [1]),
        (["*"], [0, 1, 2, 3, 4, 5]),
        (["encoder.stem.kernel"], [0]),
        ([], []),
    ],
)
def test_a_pattern_names_weights_or_modules(patterns, places):
    assert choose(NAMES, patterns, "train.freeze") == [NAMES[place] for place in places]


@pytest.mark.parametrize(
    ("pattern", "sentence"),
    [
        ("encodr", "train.freeze has 'encodr', which names no weight. Did you mean 'encoder'"),
        ("decoder.*.pri", "names no weight"),
        ("xyz", "outermost modules are: decoder, encoder, readout"),
    ],
)
def test_a_pattern_that_names_nothing_is_refused(pattern, sentence):
    with pytest.raises(ConfigError, match=sentence.replace(".", r"\.")):
        choose(NAMES, ["encoder", pattern], "train.freeze")


@pytest.mark.parametrize("places", [[], [0], [0, 1], [0, 1, 2], [2, 3, 4], [5, 0], range(6)])
def test_the_names_of_modules_choose_just_these(places):
    chosen = [NAMES[place] for place in sorted(places)]
    patterns = patterns_of({name: name in chosen for name in NAMES})
    assert choose(NAMES, patterns, "") == chosen
    assert len(patterns) <= len(chosen)
    if len(chosen) == 2 and chosen[1].startswith("encoder"):
        assert patterns == ["encoder"]
