"""What a run may leave behind: each of the list is put back, or the process is to be replaced."""

import asyncio
import contextlib
import os
import resource
import signal
import sys
import time
import traceback

import pytest

from pool import Child, Role, Scoreboard, kernel
from pool.leftovers import TRAITS, Leftovers, Trait, traits_of
from tests.conftest import wait_until
from tests.pool.messes import MESSES

BONDS = ["parent-death signal", "process group", "signal handlers", "stack file", "programs"]
#: Those that nobody can ask for: to look is to put back.
UNSEEN = {"dump_traceback_later()", "signal handlers", "stack file"}
NOBODY = 65534


def in_a_fork(function):
    """Call it in a process that may be spoiled."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            if os.geteuid() == 0:
                os.setpriority(os.PRIO_PROCESS, 0, 0)  # at the lowest there is no lower one
            function()
            code = 0
        except BaseException:
            os.write(2, traceback.format_exc().encode())
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def limit_files(more):
    """Limit the open files to some more than there are: the process of the tests has many. more: of
    them that the soft limit can be raised by."""
    soft = len(os.listdir("/dev/fd")) + 256
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, soft + more))


def child_of_no_pool():
    """This process, tied to the one that has forked it."""
    scoreboard = Scoreboard(capacity=1)
    role = Role(name="worker", run=lambda child: 0)
    os.setpgid(0, 0)
    child = Child(role, 1, scoreboard.slots[0], scoreboard, os.getppid(), "test", first_try=True)
    child.install_signals()
    kernel.die_with_parent(os.getppid())
    return child


#: Seconds of CPU time after which these messes end the process.
ENDS_AFTER = {"limits of its resources": 1.0, "timers of its CPU time": 0.2}


def burn(seconds):
    until = time.process_time() + seconds
    while time.process_time() < until:
        pass


def test_there_is_a_mess_for_each_trait():
    assert {trait.name for trait in TRAITS} | set(BONDS) == set(MESSES)


@pytest.mark.parametrize("name", sorted(MESSES.keys() - {"open files"} - UNSEEN))
def test_each_is_put_back_as_it_was(name):
    if name in ("user and groups", "priority (nice)") and os.geteuid() != 0:
        pytest.skip("needs root")

    def check():
        asyncio.set_event_loop_policy(None)  # another test may have run a coroutine here
        (trait,) = [trait for trait in traits_of(child_of_no_pool()) if trait.name == name]
        leftovers, was = Leftovers([trait]), trait.look()
        assert not leftovers.undo()
        MESSES[name]()
        assert trait.harms(was, trait.look())
        assert leftovers.undo()
        assert not trait.harms(was, trait.look())
        burn(1.2 * ENDS_AFTER.get(name, 0))
        assert not leftovers.undo()
        assert not leftovers.beyond_repair

    in_a_fork(check)


def test_a_timer_that_dumps_and_exits_is_cancelled():
    def threads():
        return set(os.listdir("/proc/self/task"))

    def check():
        leftovers = Leftovers(TRAITS)
        before = threads()  # a library may have started one with the fork, which ends at any time
        MESSES["dump_traceback_later()"]()
        waiting = threads() - before
        assert waiting  # for the time
        leftovers.undo()
        wait_until(lambda: not waiting & threads())

    in_a_fork(check)


def test_handlers_that_were_replaced_behind_pythons_back_are_put_back():
    def check():
        child, warned = child_of_no_pool(), []
        child.on_soft_limit = lambda: warned.append(True)
        leftovers = Leftovers(traits_of(child))
        MESSES["signal handlers"]()
        leftovers.undo()
        for number in (signal.SIGUSR1, signal.SIGTERM, signal.SIGPIPE):
            os.kill(os.getpid(), number)
        assert warned
        assert child.stopping

    in_a_fork(check)


def drop_rights():
    if os.geteuid() == 0:
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)


def lower_for_good():
    resource.setrlimit(resource.RLIMIT_CPU, (3600, 3600))


def close_output():
    sys.stdout = open(os.devnull, "w")  # noqa: SIM115
    sys.stdout.close()


def redirect_output():
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def leave_loop_running():
    """As a library that runs one in a greenlet."""
    asyncio._set_running_loop(asyncio.new_event_loop())


@pytest.mark.parametrize(
    "mess",
    [
        lower_for_good,
        lambda: os.nice(3),
        MESSES["open files"],
        close_output,
        redirect_output,
        leave_loop_running,
    ],
    ids=["hard limit", "nice", "descriptors", "closed output", "output elsewhere", "running loop"],
)
def test_what_cannot_be_put_back_has_the_process_replaced(mess):
    def check():
        drop_rights()
        limit_files(0)
        leftovers = Leftovers(TRAITS)
        with contextlib.suppress(OSError):
            mess()
        assert leftovers.undo()
        assert leftovers.beyond_repair

    in_a_fork(check)


def test_a_user_that_is_given_up_for_good_has_the_process_replaced():
    if os.geteuid() != 0:
        pytest.skip("needs root")

    def check():
        leftovers = Leftovers(TRAITS)
        drop_rights()
        assert leftovers.undo()
        assert leftovers.beyond_repair

    in_a_fork(check)


def raise_limit():
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def limit_is_raised():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return soft == hard


@pytest.mark.parametrize(
    ("mess", "kept"),
    [
        (lambda: sys.setrecursionlimit(5000), lambda: sys.getrecursionlimit() == 5000),
        (raise_limit, limit_is_raised),
        (lambda: os.environ.update(SET="once"), lambda: os.environ.get("SET") == "once"),
        (lambda: sys.path.append("/lib/x"), lambda: sys.path[-1] == "/lib/x"),
    ],
    ids=["recursion limit", "limit of open files", "environment", "sys.path"],
)
def test_what_a_library_sets_up_once_for_all_runs_stays(mess, kept):
    def check():
        limit_files(1)
        leftovers = Leftovers(TRAITS)
        mess()
        assert not leftovers.undo()
        assert kept()

    in_a_fork(check)


def test_who_changed_user_there_and_back_dies_with_its_parent_again():
    if os.geteuid() != 0:
        pytest.skip("needs root")

    def check():
        child = child_of_no_pool()
        leftovers = Leftovers(traits_of(child))
        assert kernel.parent_death_signal() == signal.SIGKILL
        os.seteuid(NOBODY)
        os.seteuid(0)
        assert kernel.parent_death_signal() == 0
        assert leftovers.undo()
        assert kernel.parent_death_signal() == signal.SIGKILL

    in_a_fork(check)


def test_a_process_without_output_has_none_to_put_back():
    def check():
        os.close(1)
        sys.stdout = None
        leftovers = Leftovers(TRAITS)
        assert not leftovers.undo()
        os.umask(os.umask(0) ^ 0o070)
        assert leftovers.undo()

    in_a_fork(check)


def test_a_policy_of_a_library_is_put_back_and_its_inside_left_alone():
    class Policy(asyncio.AbstractEventLoopPolicy):
        pass

    def check():
        policy = Policy()
        asyncio.set_event_loop_policy(policy)
        leftovers = Leftovers(TRAITS)
        assert not leftovers.undo()
        asyncio.set_event_loop_policy(None)
        assert leftovers.undo()
        assert asyncio.get_event_loop_policy() is policy
        assert not leftovers.beyond_repair

    in_a_fork(check)


def test_it_is_said_once_of_each(caplog):
    value = [1]
    trait = Trait("a value", lambda: value[0], lambda was: value.__setitem__(0, was))
    leftovers = Leftovers([trait])
    caplog.set_level("INFO", "pool")
    for _ in range(3):
        value[0] = 2
        assert leftovers.undo()
        assert value == [1]
    assert [record.message for record in caplog.records] == [
        "a run changed this, and it is put back: a value"
    ]
