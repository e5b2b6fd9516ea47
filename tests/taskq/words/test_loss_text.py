"""What is said of a worker that died: pure functions of its black box."""

import sysconfig
from pathlib import Path

import pytest

import taskq
from pool.black_box import Sample
from taskq.loss_text import details, place, size

PACKAGES = Path(taskq.__file__).parents[1]
STDLIB = sysconfig.get_path("stdlib")
MIB = 1024


def stack(*frames, title="Current thread 0x00007f9cd9a98b80 (most recent call first):"):
    lines = [f'  File "{file}", line {line} in {name}' for file, line, name in frames]
    return "\n".join([title, *lines])


SITE = ("/srv/shop/report.py", 612, "build")
INSTALLED = ("/srv/.venv/lib/python3.12/site-packages/lxml/etree.py", 3, "parse")
RUNNER = (f"{PACKAGES}/taskq/worker/executor.py", 90, "execute")
MAIN = ("/srv/shop/manage.py", 22, "main")


def test_the_place_is_the_innermost_frame_of_the_sites_own_code():
    frames = [
        (f"{STDLIB}/json/decoder.py", 337, "decode"),
        INSTALLED,
        ("<frozen importlib._bootstrap>", 5, "load"),
        (f"{PACKAGES}/taskq/celery/task.py", 7, "delay"),
        SITE,
        ("/srv/shop/tasks.py", 9, "monthly"),
        RUNNER,
        MAIN,
    ]
    assert place(stack(*frames)) == "report.py:612 (build)"


def test_without_code_of_the_site_it_is_the_innermost_frame_of_all():
    """What starts the pool is no place where a task was."""
    assert place(stack(INSTALLED, RUNNER, MAIN)) == "etree.py:3 (parse)"
    waits = (f"{PACKAGES}/pool/child.py", 130, "wait")
    assert place(stack(waits, MAIN)) == "child.py:130 (wait)"


def test_only_the_first_thread_counts():
    other = stack(("/srv/shop/other.py", 1, "spin"), title="Thread 0x1 (most recent call first):")
    head = "Fatal Python error: Segmentation fault"
    assert place(f"{head}\n\n{stack(SITE, RUNNER)}\n\n{other}") == "report.py:612 (build)"
    assert place(f"{head}\n\n{stack(INSTALLED)}\n\n{other}") == "etree.py:3 (parse)"


@pytest.mark.parametrize("text", ["", "Fatal Python error: Aborted", "no stack\n\nat all"])
def test_where_there_is_no_frame_there_is_no_place(text):
    assert place(text) == ""


def grown(rate, seconds=8, start=100 * MIB):
    """Samples of a second each, that grow by so many KiB a second."""
    return [Sample(float(seconds - n), start + n * rate) for n in range(seconds + 1)]


def test_the_sentence_says_how_much_it_had_how_it_grew_and_where_it_was():
    memory = grown(40 * MIB, start=1600 * MIB)
    assert details("out of memory (killed by the kernel)", "report.py:612 (build)", memory) == (
        " at 1.9 GiB, grew 40 MiB/s, was in report.py:612 (build)"
    )


def test_what_is_not_known_or_does_not_matter_is_left_out():
    assert details("killed by SIGSEGV", "", []) == ""
    assert details("killed by SIGSEGV", "a.py:1 (f)", grown(0)) == ", was in a.py:1 (f)"
    assert details("killed by SIGKILL", "", grown(0)) == " at 100 MiB"
    # Growth is told whatever the cause.
    assert details("exit code 3", "", grown(10 * MIB)) == " at 180 MiB, grew 10 MiB/s"


def test_growth_is_that_of_the_last_ten_seconds():
    early = [Sample(60.0 - n, 100 * MIB + n * 50 * MIB) for n in range(45)]
    late = [Sample(15.0 - n, early[-1].kib) for n in range(15)]
    assert details("killed by SIGKILL", "", [*early, *late]) == " at 2.2 GiB"
    assert details("killed by SIGKILL", "", grown(-5 * MIB)) == " at 60 MiB"
    assert details("killed by SIGKILL", "", [Sample(0.0, 5)]) == " at 5 KiB"
    slow = [Sample(10.0 - n, 100 * MIB + n * 500) for n in range(11)]
    assert details("exit code 3", "", slow) == ""


@pytest.mark.parametrize(
    ("kib", "text"),
    [(0, "0 KiB"), (1023, "1023 KiB"), (40 * MIB, "40 MiB"), (1.9 * MIB * MIB, "1.9 GiB")],
)
def test_sizes_are_short(kib, text):
    assert size(kib) == text
