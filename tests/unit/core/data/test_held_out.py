import numpy as np
import pytest

from hvae_core.data.held_out import hold_out
from hvae_core.errors import DataError

KEYS = [f"photos/{number}.png" for number in range(2000)]


def test_images_that_come_or_go_move_no_other():
    stay, held = hold_out(KEYS, 0.1, 0, "test")
    assert len(held) == pytest.approx(200, abs=45)  # three standard deviations
    assert sorted([*stay, *held]) == list(range(2000))
    chosen = {KEYS[index] for index in held}
    more = ["a.png", *KEYS[:700], "b.png", *KEYS[703:]]
    _, again = hold_out(more, 0.1, 0, "test")
    assert {more[index] for index in again} - {"a.png", "b.png"} == chosen - set(KEYS[700:703])


def test_seeds_and_purposes_are_other_choices():
    choices = [
        set(hold_out(KEYS, 0.5, seed, purpose)[1].tolist())
        for seed, purpose in ((0, "test"), (1, "test"), (0, "validation"))
    ]
    for first, second in ((0, 1), (0, 2), (1, 2)):
        assert len(choices[first] & choices[second]) == pytest.approx(500, abs=60)


def test_equal_keys_stay_together():
    stay, held = hold_out([*KEYS[:50], *KEYS[:50]], 0.3, 0, "test")
    assert {i % 50 for i in stay} & {i % 50 for i in held} == set()


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("fraction", [1e-6, 0.999999])
def test_at_least_one_is_on_either_side(seed, fraction):
    stay, held = hold_out(KEYS[:5], fraction, seed, "test")
    assert len(stay)
    assert len(held)


def test_what_is_held_out_of_a_small_folder_was_never_trained_on_by_one_smaller_still():
    """One image more moves none from training to testing, even where the hashes hold none out."""
    for seed in range(20):
        trained: set[str] = set()
        for count in range(2, 40):
            stay, held = hold_out(KEYS[:count], 0.1, seed, "test")
            assert not {KEYS[index] for index in held} & trained
            trained |= {KEYS[index] for index in stay}


def test_nothing_is_held_out_where_nothing_is_asked_for():
    stay, held = hold_out(KEYS[:3], 0, 0, "validation")
    assert (stay.tolist(), held.tolist()) == ([0, 1, 2], [])
    assert hold_out([], 0, 0, "validation")[0].dtype == np.int64


@pytest.mark.parametrize("keys", [[], ["a"], ["a", "a"]])
def test_too_few_to_divide(keys):
    with pytest.raises(DataError, match=f"There are {len(set(keys))} different images"):
        hold_out(keys, 0.1, 0, "test")
    with pytest.raises(ValueError, match="fraction"):
        hold_out(keys, 1.0, 0, "test")
