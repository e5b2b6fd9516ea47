"""``taskq_pool --reload``: new code, broken code, and an end that leaves nothing behind."""

import importlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
from django.utils import autoreload

from pool import Child, Role, Scoreboard, State
from stress.rig.pools import is_gone, kill_each, wait_until
from taskq.management import reload
from taskq.models import State as TaskState
from taskq.models import Task, Worker
from tests.conftest import PoolUnderTest
from tests.project.lab import tasks

pytestmark = pytest.mark.sqlite  # to run it on one is enough

STARTED = "taskq pool"
WAITS = "starts again when code changes"


class Reloaded(PoolUnderTest):
    """A pool under ``--reload`` whose settings import a module that can be edited."""

    def __init__(self, directory: Path, environment: dict[str, str]) -> None:
        self.module = directory / "edited.py"
        self._saved = 1_000_000_000
        self._save("VERSION = 1\n")
        settings = "from tests.project.settings import *\nimport edited\n"
        (directory / "edited_settings.py").write_text(settings)
        edited = {
            "PYTHONPATH": f"{directory}:{os.getcwd()}",
            "DJANGO_SETTINGS_MODULE": "edited_settings",
        }
        options = ["-c", "1", "--reload"]
        super().__init__(options, directory / "reload.log", {**environment, **edited})
        wait_until(Worker.objects.filter(name="worker 1").exists)

    def edit_until_said(self, text: str, module: str) -> None:
        """Save the module until the log has one more of a text: once the watcher has seen
        the file as it was, a change is a change."""
        before = self.log().count(text)

        def said() -> bool:
            self._save(module)
            return self.log().count(text) > before

        wait_until(said, what=f"{text!r} once more")

    def _save(self, module: str) -> None:
        """Each time a second later, and all of it long ago: a pool that broken code has
        ended is not started again for one that was saved while it ended."""
        draft = self.module.with_suffix(".draft")
        draft.write_text(module)
        self._saved += 1
        os.utime(draft, (self._saved, self._saved))
        draft.replace(self.module)  # whole: nobody is to import half of it

    def processes(self) -> list[psutil.Process]:
        """All of the session that are alive, whoever is their parent by now."""
        found = []
        for process in psutil.process_iter():
            try:
                if os.getsid(process.pid) == self.pid:
                    found.append(process)
            except ProcessLookupError:
                pass
        return [process for process in found if not is_gone(process)]

    def ends(self) -> int:
        """Wait until nothing of it is left; the exit code."""
        code = self.wait_exit()
        wait_until(lambda: not self.processes())
        return code

    def kill_all(self) -> None:
        kill_each(self.processes())
        self.ends()


@pytest.fixture
def reloaded(environment: dict[str, str], tmp_path: Path) -> Iterator[Reloaded]:
    pool = Reloaded(tmp_path, environment)
    yield pool
    pool.kill_all()
    print(pool.log())


def test_it_starts_again_when_code_changes(reloaded, runs):
    tasks.quick.delay("before")
    wait_until(lambda: runs("end", "before"))
    reloaded.edit_until_said(STARTED, "VERSION = 2\n")
    tasks.quick.delay("after")
    wait_until(lambda: runs("end", "after"))


def test_a_term_stops_all_of_it_at_once_when_nothing_runs(reloaded):
    reloaded.signal(signal.SIGTERM)
    assert reloaded.ends() == 0
    assert "died" not in reloaded.log()
    assert not Worker.objects.exists()


def test_a_ctrl_c_lets_what_runs_finish(reloaded, runs):
    tasks.nap.delay("a", 2)
    wait_until(lambda: runs("start", "a"))
    os.killpg(reloaded.pid, signal.SIGINT)  # as a terminal does
    assert reloaded.ends() == 0
    assert runs("end", "a")
    assert "stopping now" not in reloaded.log()
    assert not Worker.objects.exists()


def test_an_int_to_the_outer_process_alone_stops_all_of_it(reloaded):
    reloaded.signal(signal.SIGINT)
    assert reloaded.ends() == 0
    assert "stopping now" not in reloaded.log()


def test_a_second_ctrl_c_stops_now(reloaded, runs):
    tasks.nap.delay("a", 60)
    wait_until(lambda: runs("start", "a"))
    os.killpg(reloaded.pid, signal.SIGINT)
    reloaded.wait_for_log("stopping: up to")
    os.killpg(reloaded.pid, signal.SIGINT)
    assert reloaded.ends() == 0
    assert Task.objects.get().state == TaskState.READY


def test_broken_code_waits_for_the_mend(reloaded, runs):
    reloaded.edit_until_said(WAITS, "VERSION =\n")
    reloaded.wait_for_log("SyntaxError")
    reloaded.edit_until_said(STARTED, "VERSION = 3\n")
    tasks.quick.delay("after")
    wait_until(lambda: runs("end", "after"))


def test_a_term_ends_the_wait_for_the_mend(reloaded):
    reloaded.edit_until_said(WAITS, "VERSION =\n")
    reloaded.signal(signal.SIGTERM)
    assert reloaded.ends() == 1


@pytest.fixture
def outer():
    """Of this process; signal handlers as before when the test is over."""
    numbers = signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}
    before = {number: signal.getsignal(number) for number in numbers}
    yield reload.Outer()
    for number in before:
        if signal.getsignal(number) is not before[number]:
            signal.signal(number, before[number])


@pytest.mark.parametrize(
    ("codes", "stopped", "code"),
    [
        ([reload.CHANGED, 0], False, 0),
        ([-signal.SIGHUP, -signal.SIGUSR1, 0], False, 0),  # before the pool heeded them
        ([0], True, 0),
        ([reload.CHANGED], True, 0),  # stopped as it drained for new code
        ([-signal.SIGTERM], True, 0),  # before the pool heeded it
        ([1], True, 1),
        ([-signal.SIGKILL], True, 128 + 9),
    ],
)
def test_what_the_end_of_the_pool_means(outer, monkeypatch, codes, stopped, code):
    ends = iter(codes)

    def run_pool():
        outer._stopping = stopped
        return next(ends)

    monkeypatch.setattr(outer, "_run_pool", run_pool)
    assert outer.run() == code
    assert not list(ends)


def test_an_alarm_as_python_ends_does_not_change_the_exit_code(outer, monkeypatch):
    """Two Ctrl-C stop the pool at once, and the alarm for the second is still to come."""

    def run_pool():
        os.kill(os.getpid(), signal.SIGINT)
        return 0

    monkeypatch.setattr(outer, "_run_pool", run_pool)
    assert outer.run() == 0
    # A handler of Python's would be put back to the default, which is to die of it.
    assert signal.getsignal(signal.SIGALRM) == signal.SIG_IGN
    assert signal.setitimer(signal.ITIMER_REAL, 0)[0] > 0


def test_a_mend_that_was_saved_before_anyone_watched_counts(outer, tmp_path, monkeypatch):
    """Else the pool stays down until somebody saves once more."""
    (tmp_path / "mended.py").write_text("VERSION = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    importlib.import_module("mended")

    def never(*args):
        raise AssertionError("it waits for another change")

    monkeypatch.setattr(autoreload.BaseReloader, "run_loop", never)
    outer._wait_for_change(since=time.time() - 60)
    with pytest.raises(AssertionError, match="another"):
        outer._wait_for_change(since=time.time() + 60)


def test_the_process_that_watches_is_up_and_wants_no_lease(monkeypatch):
    # As long as it is booting, the supervisor would count the seconds and kill it.
    scoreboard = Scoreboard(1)
    scoreboard.slots[0].state, scoreboard.slots[0].generation = State.BOOTING, 1
    role = Role(name="reloader", run=reload.watch)
    child = Child(role, 1, scoreboard.slots[0], scoreboard, os.getppid(), "pool", True)
    seen = []
    loop = SimpleNamespace(run_loop=lambda: seen.append(scoreboard.slots[0].state))
    monkeypatch.setattr(reload.autoreload, "get_reloader", lambda: loop)
    monkeypatch.setattr(reload.signal, "signal", lambda *ignored: None)
    monkeypatch.setattr(Child, "title", lambda self: None)
    assert reload.watch(child) == 0
    assert seen == [State.ASIDE]
