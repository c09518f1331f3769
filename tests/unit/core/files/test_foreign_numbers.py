"""What other implementations' files say, as numbers or as a sentence."""

import math

import pytest

from hvae_core.errors import ConfigError, PresetError
from hvae_core.files.foreign_numbers import finite_number, is_number, is_whole, whole_number


def test_numbers_are_as_they_are_and_whole_ones_may_be_floats():
    assert finite_number(0.25, "lr") == 0.25
    assert finite_number(-1, "lr") == -1
    assert whole_number(100.0, "steps") == 100
    assert type(whole_number(1e5, "steps")) is int
    assert whole_number(-3, "steps") == -3


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        (None, "lr is empty; expected a number."),
        (True, "lr is true; expected a number."),
        ("1.5e-4", "lr is '1.5e-4'; expected a number."),
        ([1], "lr is [1]; expected a number."),
        ("x" * 99, f"lr is '{'x' * 56}...; expected a number."),
        (math.nan, "lr is nan; expected a finite number of at most 1e+18 in size."),
        (-math.inf, "lr is -inf; expected a finite number of at most 1e+18 in size."),
        (10**19, f"lr is {10**19}; expected a finite number of at most 1e+18 in size."),
    ],
)
def test_anything_else_is_told(value, sentence):
    with pytest.raises(ConfigError) as caught:
        finite_number(value, "lr")
    assert (caught.value.message, caught.value.exit_code) == (sentence, 2)
    assert caught.value.hint
    with pytest.raises(ConfigError):
        whole_number(value, "lr")


@pytest.mark.parametrize(
    ("value", "least", "sentence"),
    [
        (None, None, "n is empty; expected a whole number."),
        (2.5, None, "n is 2.5; expected a whole number."),
        (0, 1, "n is 0; expected a whole number, 1 or more."),
        ("2", 1, "n is '2'; expected a whole number, 1 or more."),
    ],
)
def test_whole_numbers_may_have_a_least_one(value, least, sentence):
    with pytest.raises(ConfigError) as caught:
        whole_number(value, "n", least)
    assert caught.value.message == sentence


@pytest.mark.parametrize(
    ("value", "number", "whole"),
    [
        (3, True, True),
        (0, True, True),
        (10**18, True, True),
        (-1, True, False),
        (2.0, True, False),
        (-0.5, True, False),
        (10**18 + 1, False, False),
        (10**400, False, False),
        (1e300, False, False),
        (math.inf, False, False),
        (math.nan, False, False),
        (True, False, False),
        ("3", False, False),
        (None, False, False),
        ([3], False, False),
    ],
)
def test_whether_it_is_one_can_be_asked(value, number, whole):
    assert is_number(value) is number
    assert is_whole(value) is whole


def test_the_bounds_are_the_reader_s():
    assert is_number(-1e300, 1e308)
    assert not is_number(-(10**400), 1e308)
    assert is_whole(-3, -3)
    assert [is_whole(value, 2, 5) for value in (1, 2, 5, 6)] == [False, True, True, False]


def test_the_error_is_of_the_reader_s_kind():
    with pytest.raises(PresetError) as caught:
        whole_number("x", "images", 1, PresetError, "Measure it.")
    assert caught.value.hint == "Measure it."
