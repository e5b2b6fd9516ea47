"""Causes of death, in numbers and in words."""

import os
import signal
import subprocess

import pytest

from pool import Cause, Death
from pool.death import BLAMELESS, cause_of


def death(cause, code=0, seconds=0):
    return Death(1, 4242, 7, 100, 2, cause, code, seconds)


@pytest.mark.parametrize(
    ("died", "text"),
    [
        (death(Cause.EXIT, 3), "exit code 3"),
        (death(Cause.SIGNAL, signal.SIGSEGV), "killed by SIGSEGV"),
        (death(Cause.SIGNAL, signal.SIGRTMIN + 1), "killed by signal 35"),
        (death(Cause.OUT_OF_MEMORY, 9), "out of memory (killed by the kernel)"),
        (death(Cause.TIME_LIMIT, 9, 61), "time limit passed after 61 s"),
        (death(Cause.LEASE_LOST, 9), "lease ran out unrenewed"),
        (death(Cause.UNRESPONSIVE, 9), "no longer responsive"),
        (death(Cause.STOPPED, 9), "stopped while at work"),
    ],
)
def test_each_cause_has_its_words(died, text):
    assert str(died) == text


def test_every_cause_has_words():
    texts = {str(death(cause)) for cause in Cause}
    assert len(texts) == len(Cause)


def test_only_an_exit_with_code_0_is_clean():
    clean = [(cause, code) for cause in Cause for code in (0, 1) if death(cause, code).clean]
    assert clean == [(Cause.EXIT, 0)]


def test_work_is_not_blamed_for_what_the_supervisor_had_to_do():
    assert {Cause.LEASE_LOST, Cause.UNRESPONSIVE, Cause.STOPPED, Cause.ENDED} == BLAMELESS


@pytest.mark.parametrize(
    ("script", "cause"),
    [
        ("exit 0", (Cause.EXIT, 0)),
        ("exit 250", (Cause.EXIT, 250)),
        ("kill -9 $$", (Cause.SIGNAL, 9)),
        ("ulimit -c 0; kill -ABRT $$", (Cause.SIGNAL, 6)),
    ],
)
def test_cause_is_read_from_what_wait_says(script, cause):
    process = subprocess.Popen(["sh", "-c", script])
    _, status = os.waitpid(process.pid, 0)
    process.returncode = 0  # reaped here
    assert cause_of(status) == cause
