"""A signal is heard at once, also while the main thread does not listen."""

import hashlib
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from hvae_core.files.signals import hearing, say

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals are POSIX's")


def busy():
    """A second in C, as in a compiler: no handler of Python's is called before its end."""
    hashlib.pbkdf2_hmac("sha256", b"", b"", 1_500_000)


def send(after=0.1, number=signal.SIGTERM):
    threading.Timer(after, os.kill, (os.getpid(), number)).start()


@pytest.fixture
def handled():
    """When Python's own handler of SIGTERM was called."""
    times = []
    before = signal.signal(signal.SIGTERM, lambda *_: times.append(time.monotonic()))
    yield times
    signal.signal(signal.SIGTERM, before)


def test_it_is_told_before_the_handler_can_run(handled):
    told = []
    with hearing(lambda number: told.append(time.monotonic()), (signal.SIGTERM,)):
        send()
        busy()
    assert len(told) == 1
    assert told[0] < handled[0]


def test_nothing_is_told_of_other_signals_or_where_the_block_ends_in_time(handled):
    told = []
    with hearing(lambda number: told.append(1), (signal.SIGINT,)):
        send(0.0)
        busy()
    with hearing(lambda number: told.append(2), (signal.SIGTERM,), patience=30.0):
        send(0.0)
        time.sleep(0.2)
    assert told == []
    assert len(handled) == 2


def test_the_one_before_hears_again_afterwards(handled):
    outer, inner = [], []
    with hearing(lambda number: outer.append(1), (signal.SIGTERM,)):
        with hearing(lambda number: inner.append(1), (signal.SIGTERM,)):
            send(0.0)
            time.sleep(0.2)
        assert (outer, inner) == ([], [1])
        send(0.0)
        time.sleep(0.2)
    assert (outer, inner) == ([1], [1])


def test_outside_the_main_thread_it_does_nothing():
    done = []

    def work():
        with hearing(lambda number: None, (signal.SIGTERM,)):
            done.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done == [True]


def test_what_is_said_is_a_line_on_stderr(capfd):
    say("Interrupted.")
    assert "Interrupted.\n" in capfd.readouterr().err


def test_a_command_that_computes_says_so_at_once():
    code = """
import hashlib, os, signal, threading, click
from hvae_core.cli.main import cli, main

# whoever starts the tests in the background may have it ignored
signal.signal(signal.SIGINT, signal.default_int_handler)

@cli.command("busy")
def busy():
    threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()
    hashlib.pbkdf2_hmac("sha256", b"", b"", 3_000_000)

cli.get_command = lambda ctx, name: busy
cli.resolve_command = lambda ctx, args: ("busy", busy, [])
main(["busy"])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 130
    lines = [line for line in done.stderr.splitlines() if line]
    assert lines == [
        "Interrupted: what is being compiled or computed has to end first.", "Interrupted.",
    ]  # fmt: skip
