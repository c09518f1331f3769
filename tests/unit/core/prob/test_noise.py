"""The numbers that images own."""

import numpy as np
import pytest

from hvae_core.prob import noise

COUNT = 200_000
#: of images 0 and 7 with seed 3
NORMAL = [
    [0.499059737, -0.2186407, 1.42161644, 0.771814823],
    [0.15601182, 0.603156984, 0.153420135, -1.09144318],
]
UNIFORM = np.asarray(
    [
        [0.814771593, 0.740096331, 0.521725893, 0.848345697],
        [0.428296745, 0.931771398, 0.0741013288, 0.58501941],
    ],
    np.float32,
)


def test_they_are_these():
    """A seed's numbers are part of what users rely on."""
    normal = noise.draw_normal([(2, 1, 1), (1, 1, 2)], [0, 7], seed=3)
    np.testing.assert_allclose(normal, NORMAL, atol=1e-6)
    np.testing.assert_array_equal(noise.draw_uniform((4,), [0, 7], seed=3), UNIFORM)


@pytest.mark.parametrize("draw", [noise.normal_part, noise.uniform_part])
def test_a_part_is_that_of_the_whole(draw):
    whole = draw(5, 9, 0, 105)
    for start, stop in ((0, 105), (1, 4), (3, 4), (8, 20), (17, 104), (104, 105)):
        np.testing.assert_array_equal(draw(5, 9, start, stop), whole[start:stop])


def test_normal_numbers_are_standard_normal():
    """Moments to five standard errors, of a million numbers; no two of a pair go together."""
    drawn = noise.draw_normal([(COUNT, 1, 1)], 5, seed=0).astype(np.float64)
    for power, (mean, variance) in {1: (0, 1), 2: (1, 2), 3: (0, 15), 4: (3, 96)}.items():
        error = 5 * np.sqrt(variance / drawn.size)
        assert abs((drawn**power).mean() - mean) < error, power
    one, two = drawn.reshape(-1, 2).T
    for f, g in ((one, two), (one**2, two**2), (one[1:], one[:-1]), (drawn[0], drawn[1])):
        assert abs(np.corrcoef(f, g)[0, 1]) < 5 / np.sqrt(len(f))
    # beyond three deviations: 0.27 %
    share = (np.abs(drawn) > 3).mean()
    assert abs(share - 0.0026998) < 5 * np.sqrt(0.0027 / drawn.size)


def test_uniform_numbers_are_uniform():
    drawn = noise.draw_uniform((COUNT,), 5, seed=0)
    counts = np.histogram(drawn, bins=100, range=(0, 1))[0]
    expected = drawn.size / 100
    # chi-squared of 99 degrees of freedom: mean 99, deviation 14
    assert abs(((counts - expected) ** 2 / expected).sum() - 99) < 5 * np.sqrt(2 * 99)
    assert drawn.min() >= 0
    assert drawn.max() < 1


def test_seeds_images_and_streams_have_numbers_of_their_own():
    found = [
        noise.words_of(seed, stream, image, 0, 64).tobytes()
        for seed in (0, 1, 2**63 - 1)
        for stream in (noise.NORMAL, noise.UNIFORM)
        for image in (0, 1, 2**32, 2**40 + 1)
    ]
    assert len(set(found)) == 24


def test_no_numbers_are_no_numbers():
    (drawn,) = noise.draw(noise.UNIFORM, [(4, 4, 0)], [3, 5], 0)
    assert drawn.shape == (2, 4, 4, 0)


def test_a_batch_on_several_cores_is_the_same(monkeypatch):
    apart = noise.draw_normal([(50, 1, 1)], 6, seed=2)
    monkeypatch.setattr(noise, "_WORTH_THREADS", 10)
    np.testing.assert_array_equal(noise.draw_normal([(50, 1, 1)], 6, seed=2), apart)
    np.testing.assert_array_equal(noise.draw_normal([(50, 1, 1)], 2, 2, offset=4), apart[4:])
