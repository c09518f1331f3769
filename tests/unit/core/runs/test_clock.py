import errno
import os

import pytest

from hvae_core.errors import BadInputError, TrainingError
from hvae_core.runs.clock import Clock, ended_at, read_times


class Hand:
    """The hand of a clock that the test moves."""

    seconds = 100.0

    def __call__(self):
        return self.seconds


@pytest.fixture
def hand():
    return Hand()


def make(tmp_path, hand, minutes=1.0):
    return Clock(minutes, tmp_path / "clock.txt", hand)


def test_an_update_has_one_time(tmp_path, hand):
    clock = make(tmp_path, hand)
    clock.begin(0, 0.0)
    assert clock.at(0) == 0.0
    hand.seconds += 15
    assert clock.at(1) == 15.0
    hand.seconds += 5
    assert clock.at(1) == 15.0
    assert read_times(tmp_path / "clock.txt") == [0.0, 15.0]


def test_the_part_that_is_over_and_the_end(tmp_path, hand):
    clock = make(tmp_path, hand)
    clock.begin(0, 0.0)
    parts = []
    for step in range(6):
        clock.at(step)
        hand.seconds += 12
        parts.append(clock.part(step))
    assert parts == pytest.approx([0.0, 0.2, 0.4, 0.6, 0.8, 1.0])
    assert clock.part(3, since=1) == pytest.approx(0.5)
    assert [clock.is_over(step) for step in (4, 5)] == [False, True]
    assert clock.updates(0, at_least=7) == 7
    assert clock.updates(2, at_least=7) == 5
    assert clock.updates(5, at_least=7) == 5
    times = read_times(tmp_path / "clock.txt")
    assert ended_at(times, 1.0) == 5
    assert ended_at(times[:-1], 1.0) is None


def test_a_run_goes_on_with_its_own_times_and_none_passes_in_between(tmp_path, hand):
    clock = make(tmp_path, hand)
    clock.begin(0, 0.0)
    for step in range(4):
        clock.at(step)
        hand.seconds += 10
    hand.seconds += 1e6
    again = make(tmp_path, hand)
    again.resume()
    again.begin(1, 12.0)
    assert [again.at(step) for step in range(3)] == [0.0, 10.0, 20.0]
    hand.seconds += 1e3  # making updates 1 and 2 again took so long
    assert again.at(3) == 30.0
    hand.seconds += 7
    assert again.at(4) == 37.0


def test_where_the_file_is_gone_time_goes_on_from_the_checkpoint_s(tmp_path, hand):
    clock = make(tmp_path, hand)
    clock.resume()
    clock.begin(3, 42.0)
    assert clock.at(3) == 42.0
    hand.seconds += 3
    assert clock.at(4) == 45.0


def test_updates_whose_times_are_not_known_are_taken_for_equally_long(tmp_path, hand):
    """As of a run that was to have so many updates, and now has a time."""
    clock = make(tmp_path, hand)
    clock.resume()
    clock.begin(4, 48.0)
    assert clock.part(4) == pytest.approx((48 - 12) / (60 - 12))
    assert clock.updates(4, at_least=7) == round(4 / clock.part(4))
    assert read_times(tmp_path / "clock.txt")[:4] == [12.0, 24.0, 36.0, 48.0]


def test_a_line_that_was_cut_short_is_measured_anew(tmp_path, hand):
    (tmp_path / "clock.txt").write_text("0.0\n3.5\n7.")
    clock = make(tmp_path, hand)
    clock.resume()
    clock.begin(1, 3.0)
    assert clock.at(2) == 3.5
    assert (tmp_path / "clock.txt").read_text() == "0.0\n3.5\n3.5\n"


@pytest.mark.parametrize("text", ["0.0", "0", "1e", ""])
def test_a_first_line_that_was_cut_short_is_none(tmp_path, hand, text):
    (tmp_path / "clock.txt").write_text(text)
    clock = make(tmp_path, hand)
    clock.resume()
    clock.begin(0, 0.0)
    assert clock.at(0) == 0.0
    assert read_times(tmp_path / "clock.txt") == [0.0]


def test_a_file_that_cannot_be_written_is_one_sentence(tmp_path, hand, monkeypatch):
    def full(*arguments, **options):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    clock = make(tmp_path, hand)
    clock.begin(0, 0.0)
    clock.at(0)
    for name, act in (("os.replace", clock.resume), ("os.fsync", clock.flush)):
        with monkeypatch.context() as patch:
            patch.setattr(name, full)
            with pytest.raises(TrainingError, match=r"Cannot write .*clock\.txt: No space") as told:
                act()
        assert "--resume" in told.value.hint
    (tmp_path / "clock.txt").unlink()
    (tmp_path / "clock.txt").mkdir()
    with pytest.raises(TrainingError, match=r"Cannot write .*clock\.txt"):
        clock.at(1)


@pytest.mark.parametrize("text", ["zero\n", "0.0\n-1\n", "0.0\n5\n4\n", "nan\n", "0.0\ninf\n"])
def test_a_damaged_file_is_refused(tmp_path, hand, text):
    (tmp_path / "clock.txt").write_text(text)
    with pytest.raises(BadInputError, match=r"clock\.txt is damaged: it should hold rising"):
        make(tmp_path, hand).resume()
