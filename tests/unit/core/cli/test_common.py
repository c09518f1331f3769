"""Numbers and sizes as options take them, and texts as they are printed."""

import io

import click
import pytest
from rich.console import Console, Group
from rich.progress import Progress
from rich.table import Table

from hvae_core.cli import common
from hvae_core.cli.common import LARGEST, Real, SizeType, WholeNumber, emit, is_large, shortened
from hvae_core.inference.watching import counting

ENDLESS = "9" * 5000


@pytest.mark.parametrize("text", ["9" * 30, ENDLESS, f"+{ENDLESS}", str(LARGEST + 1), "9_9" * 20])
def test_whole_numbers_that_are_too_large(text):
    with pytest.raises(click.BadParameter, match=f"it may be {LARGEST} at most") as caught:
        WholeNumber(1).convert(text, None, None)
    assert len(caught.value.message) < 200


@pytest.mark.parametrize(("text", "number"), [(str(LARGEST), LARGEST), ("007", 7), ("1_000", 1000)])
def test_whole_numbers(text, number):
    assert WholeNumber(0).convert(text, None, None) == number


def test_whole_numbers_have_bounds():
    assert WholeNumber(0, 2**63 - 1).convert(str(2**63 - 1), None, None) == 2**63 - 1
    for text in ("0", "-5", "some", "1.5"):
        with pytest.raises(click.BadParameter):
            WholeNumber(1).convert(text, None, None)


@pytest.mark.parametrize("text", ["nan", "inf", "-inf", "1e999", ENDLESS])
def test_numbers_are_finite(text):
    with pytest.raises(click.BadParameter, match="is no finite number"):
        Real().convert(text, None, None)
    assert Real().convert("-0.5", None, None) == -0.5


def test_a_bounded_number_is_not_nan():
    with pytest.raises(click.BadParameter, match="'nan' is no finite number"):
        Real(min=0, max=1).convert("nan", None, None)
    with pytest.raises(click.BadParameter, match="is not in the range"):
        Real(min=0, max=1).convert("2", None, None)
    assert Real(infinite=True, min=0).convert("inf", None, None) == float("inf")
    with pytest.raises(click.BadParameter, match="'nan' is no finite number"):
        Real(infinite=True, min=0).convert("nan", None, None)


@pytest.mark.parametrize("text", [ENDLESS, f"8x{ENDLESS}", "8x8x8", "", "8x", "-8", "1.5"])
def test_sizes_that_are_none(text):
    with pytest.raises(click.BadParameter, match="is no size; expected such as 128x192") as caught:
        SizeType().convert(text, None, None)
    assert len(caught.value.message) < 200


def test_sizes():
    assert SizeType().convert("128x192", None, None) == (128, 192)
    assert SizeType().convert("0064", None, None) == (64, 64)


def test_a_large_number_is_known_without_reading_it():
    assert [is_large(text) for text in (ENDLESS, "0" * 5000 + "7", "-9", "x", "")] == [
        True, False, False, False, False,
    ]  # fmt: skip
    assert shortened("12") == "'12'"


@pytest.mark.parametrize("name", ["p[/x]", "h[train]", "[bold]a", ":smile:"])
def test_names_of_the_user_s_are_printed_as_they_are(name, capsys):
    table = Table(name, title=name)
    table.add_row(name)
    emit(None, False, Group(name, table))
    assert capsys.readouterr().out.count(name) == 4


@pytest.mark.parametrize("as_json", [False, True])
def test_progress_is_a_line_a_minute_where_there_is_no_terminal(monkeypatch, capsys, as_json):
    clock = iter([0.0, 0.0, 59.0, 60.0, 61.0, 120.0, 180.0, 230.0, 240.0])
    monkeypatch.setattr(common.time, "monotonic", lambda: next(clock))
    with common.progress_bar("evaluating", as_json):
        with counting(10_000) as advance:
            for more in (500, 500, 100, -90, 0):
                advance(more)
        with counting(100_000) as advance:
            advance(100)
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.splitlines() == [
        "evaluating: 1,000 of 10,000, 0:09:00 left",
        # Of the last minute's speed, in which ten were done.
        "evaluating: 1,010 of 10,000, 14:59:00 left",
        "evaluating: 1,010 of 10,000",
        # Another pass, which took ten seconds for a hundred.
        "evaluating: 100 of 100,000, 2:46:30 left",
    ]


def test_the_bar_tells_the_time_left_of_each_pass_anew(monkeypatch):
    terminal = Console(file=io.StringIO(), force_terminal=True)
    monkeypatch.setattr(common, "progress_console", lambda: terminal)
    monkeypatch.setattr(common.sys.stderr, "isatty", lambda: True)
    bars, init = [], Progress.__init__
    monkeypatch.setattr(
        Progress, "__init__", lambda bar, **options: (bars.append(bar), init(bar, **options))[1]
    )
    with common.progress_bar("interpolating"):
        for _ in range(2):
            with counting(2) as advance:
                advance(1)
                assert not bars[0].tasks[0].finished
                advance(1)
                assert bars[0].tasks[0].finished
