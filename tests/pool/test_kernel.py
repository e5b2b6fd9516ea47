"""What the pool asks of the kernel, and makes of its silence."""

import mmap
import os
import subprocess
import sys

import psutil
import pytest

from pool import kernel
from pool.kernel import OomCounter
from tests.conftest import wait_until

V1 = "memory.oom_control"
V2 = "memory.events"


class Cgroups:
    """A made-up /proc/self/cgroup and /sys/fs/cgroup."""

    def __init__(self, directory):
        self.proc, self.mounts = directory / "proc", directory / "cgroup"

    def own(self, *lines):
        (self.proc / "self").mkdir(parents=True, exist_ok=True)
        (self.proc / "self/cgroup").write_text("".join(f"{line}\n" for line in lines))

    def kills(self, path, number):
        path = self.mounts / path
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.name == V1:
            path.write_text(f"oom_kill_disable 0\nunder_oom 0\noom_kill {number}\n")
        else:
            path.write_text(f"low 0\nhigh 0\nmax 9\noom 4\noom_kill {number}\noom_group_kill 0\n")

    def counter(self):
        return OomCounter(self.proc, self.mounts)


@pytest.fixture
def cgroups(tmp_path):
    return Cgroups(tmp_path)


V1_LINES = ("12:cpu,cpuacct:/other", "4:blkio,memory:/jobs/pool", "1:name=systemd:/x", "0::/x")


@pytest.mark.parametrize(
    ("lines", "file"),
    [
        (["0::/system.slice/taskq.service"], f"system.slice/taskq.service/{V2}"),
        (["0::/"], V2),
        (["0::/a:b"], f"a:b/{V2}"),
        # A container that sees its own cgroup as the root, whatever its path outside.
        (["0::/docker/0123"], V2),
        (V1_LINES, f"memory/jobs/pool/{V1}"),
        (V1_LINES, f"memory/{V1}"),
    ],
)
def test_kill_in_our_cgroup_is_seen_once(cgroups, lines, file):
    cgroups.own(*lines)
    cgroups.kills(file, 3)
    counter = cgroups.counter()
    assert not counter.advanced()  # those of before our time
    cgroups.kills(file, 5)
    assert [counter.advanced() for _ in range(3)] == [True, True, False]


def test_own_cgroup_is_preferred_to_its_root(cgroups):
    cgroups.own(*V1_LINES)
    cgroups.kills(f"memory/jobs/pool/{V1}", 0)
    cgroups.kills(f"memory/{V1}", 0)
    counter = cgroups.counter()
    cgroups.kills(f"memory/{V1}", 1)
    assert not counter.advanced()
    cgroups.kills(f"memory/jobs/pool/{V1}", 1)
    assert counter.advanced()


@pytest.mark.parametrize(
    "lines", [None, [], ["0::/x"], ["4:memory:/x"], ["3:cpu:/x"], ["0::/" + 300 * "x"]]
)
def test_without_a_file_that_counts_nothing_is_ever_out_of_memory(cgroups, lines):
    cgroups.mounts.mkdir()
    if lines is not None:
        cgroups.own(*lines)
    counter = cgroups.counter()
    assert not counter.advanced()
    counter.forget_old(0)


def test_file_that_cannot_be_read_counts_nothing(cgroups):
    cgroups.own("0::/")
    cgroups.mounts.mkdir()
    (cgroups.mounts / V2).symlink_to("/proc/self/mem")  # reading it is an I/O error
    assert not cgroups.counter().advanced()


def test_file_that_goes_away_counts_no_further(cgroups):
    cgroups.own("0::/")
    cgroups.kills(V2, 2)
    counter = cgroups.counter()
    (cgroups.mounts / V2).unlink()
    assert not counter.advanced()
    cgroups.kills(V2, 3)
    assert counter.advanced()


def test_kernel_too_old_to_count_kills_counts_nothing(cgroups):
    cgroups.own("4:memory:/")
    cgroups.kills(f"memory/{V1}", 0)
    (cgroups.mounts / "memory" / V1).write_text("oom_kill_disable 0\nunder_oom 1\n")
    assert not cgroups.counter().advanced()


def test_kill_that_no_death_of_ours_answers_to_is_forgotten(cgroups):
    cgroups.own("0::/")
    cgroups.kills(V2, 0)
    counter = cgroups.counter()
    counter.forget_old(100)
    cgroups.kills(V2, 1)
    counter.forget_old(100 + counter.keeps)  # seen for the first time
    cgroups.kills(V2, 2)
    counter.forget_old(100 + 2 * counter.keeps)
    assert [counter.advanced() for _ in range(2)] == [True, False]


def test_kill_is_remembered_for_a_while(cgroups):
    """The death that answers to it may be reaped in the next round only."""
    cgroups.own("0::/")
    cgroups.kills(V2, 0)
    counter = cgroups.counter()
    counter.forget_old(100)
    cgroups.kills(V2, 1)
    counter.forget_old(100.1)
    counter.forget_old(100 + counter.keeps)
    counter.forget_old(100 + 2 * counter.keeps - 0.1)
    assert counter.advanced()


@pytest.fixture
def no_proc(monkeypatch, tmp_path):
    """No /proc, as on macOS."""
    monkeypatch.setattr(kernel, "Path", lambda path: tmp_path / path.lstrip("/"))


@pytest.fixture
def sleeper():
    with subprocess.Popen(["sleep", "60"]) as process:
        yield process
        process.kill()


def test_process_runs_until_it_is_stopped_or_dead(sleeper):
    process = psutil.Process(sleeper.pid)
    assert kernel.is_running(sleeper.pid)
    assert kernel.is_running(os.getpid())
    process.suspend()
    wait_until(lambda: not kernel.is_running(sleeper.pid))
    process.resume()
    wait_until(lambda: kernel.is_running(sleeper.pid))
    process.kill()
    wait_until(lambda: process.status() == psutil.STATUS_ZOMBIE)
    assert not kernel.is_running(sleeper.pid)
    sleeper.wait()
    assert not kernel.is_running(sleeper.pid)


def test_process_may_have_any_name():
    """Its name is in the middle of the line that tells its state, unescaped."""
    program = (
        "import ctypes, time\n"
        "ctypes.CDLL(None).prctl(15, b'x) Z \\xff(', 0, 0, 0)\n"
        "print(flush=True)\n"
        "time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        assert kernel.is_running(process.pid)
        process.kill()


def test_without_proc_a_process_runs_while_it_exists(no_proc, sleeper):
    assert kernel.is_running(sleeper.pid)
    sleeper.kill()
    sleeper.wait()
    assert not kernel.is_running(sleeper.pid)


def test_resident_memory_is_what_the_kernel_says():
    """It may shrink at any time: the kernel takes back what is not used."""
    reserved = mmap.mmap(-1, 2 << 30)  # and never touched: it is not resident
    now = psutil.Process().memory_info().rss // 1024
    assert 0.9 * now < kernel.resident_kib() < 1.1 * now
    reserved.close()


def test_without_proc_resident_memory_is_the_peak(no_proc):
    now = psutil.Process().memory_info().rss // 1024
    assert 0.9 * now < kernel.resident_kib() < now + 2_000_000


def test_without_proc_nobody_is_a_likelier_victim(no_proc, tmp_path):
    kernel.prefer_as_oom_victim()
    assert list(tmp_path.iterdir()) == []


def test_score_for_the_oom_killer_has_a_limit(monkeypatch, tmp_path):
    monkeypatch.setattr(kernel, "Path", lambda path: tmp_path / path.rpartition("/")[2])
    score = tmp_path / "oom_score_adj"
    score.write_text("-500\n")
    kernel.prefer_as_oom_victim()
    assert score.read_text() == "-200"
    score.write_text("900\n")
    kernel.prefer_as_oom_victim()
    assert score.read_text() == "1000"


@pytest.mark.parametrize("linux", [True, False])
def test_child_of_a_parent_that_is_gone_does_not_live_on(linux):
    program = (
        "from pool import kernel\n"
        f"kernel.LINUX = {linux}\n"
        "kernel.die_with_parent(parent=1)\n"
        "print('lives on')"
    )
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert (result.returncode, result.stdout) == (os.EX_UNAVAILABLE, "")


@pytest.mark.parametrize("linux", [kernel.LINUX, False])
def test_child_says_whether_it_will_be_killed_with_its_parent(linux):
    program = (
        "import os\n"
        "from pool import kernel\n"
        f"kernel.LINUX = {linux}\n"
        "print(kernel.die_with_parent(os.getppid()))"
    )
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert answer.stdout == f"{linux}\n"
