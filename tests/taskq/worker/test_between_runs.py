"""Nothing that one run leaves behind reaches the next."""

import os
import signal

import pytest
from django.db import connection, transaction

from pool.leftovers import TRAITS
from stress.project.shop.models import Order
from stress.rig.pools import wait_until
from taskq.connections.restoring import abandon_connections
from taskq.models import Task
from taskq.worker.cleanup import TRUSTED, Cleanup
from tests.pool.conftest import gone
from tests.pool.messes import MESSES
from tests.project.lab import leftovers, limits, tasks


def test_a_task_finds_its_process_as_the_first_one_did(start_pool, runs, drained):
    """Whatever the one before it did: each mess that there is, in one worker after another."""
    pool = start_pool("-c", 1, prefix=["prlimit", "--nofile=1024:1024"])
    leftovers.look_around.delay("first")
    for name in MESSES:
        leftovers.mess.delay(f"mess of {name}", name)
        leftovers.look_around.delay(name)
    drained()
    (first,) = runs("seen", "first")
    for name in MESSES:
        (seen,) = runs("seen", name)
        assert seen["seen"] == first["seen"], name
        assert seen["children"] == [], name
    # Nobody was charged. The one without a descriptor left has failed, and not those behind it.
    assert {row.payload.split('"')[3] for row in Task.objects.failed()} == {"open files"}
    assert "died" not in pool.log()
    assert pool.log().count("is replaced") == 1
    assert pool.stop() == 0


def test_a_task_that_is_known_to_be_clean_is_looked_at_again_once_it_was_not():
    looks = []
    ours = Cleanup()
    ours.look = lambda: looks.append(True) or len(looks) == TRUSTED + 1
    for _ in range(TRUSTED):
        ours.restore("a")
    ours._look_due = 2**63
    ours.restore("a")
    assert len(looks) == TRUSTED
    ours.restore("b")  # leaves something behind
    assert len(looks) == TRUSTED + 1
    for _ in range(TRUSTED):
        ours.restore("b")
    assert len(looks) == 2 * TRUSTED + 1
    ours.restore("b")
    assert len(looks) == 2 * TRUSTED + 1


def test_what_many_quick_runs_left_is_undone_before_one_that_is_not_quick():
    ours = Cleanup(TRAITS)
    ours._clean["quick"], ours._look_due = TRUSTED, 2**63
    before = os.umask(0o077)
    ours.restore("quick")
    assert ours.before(quick=True)
    assert os.umask(0o077) == 0o077
    assert ours.before(quick=False)
    assert os.umask(before) == before


def test_a_worker_that_cannot_go_back_to_its_directory_is_replaced(monkeypatch, tmp_path):
    ours = Cleanup()
    ours._directory = 2**20  # a task has closed what it did not open
    monkeypatch.chdir(tmp_path)
    ours.restore()
    assert ours.beyond_repair
    assert not ours.before(quick=False)


def test_a_worker_whose_tasks_leak_descriptors_is_replaced_before_one_fails(
    start_pool, runs, drained
):
    pool = start_pool("-c", 1, prefix=["prlimit", "--nofile=256:256"])
    for key in range(40):
        leftovers.leak_descriptors.delay(key, 16)
    drained()
    assert len(runs("end")) == 40
    assert len({record["pid"] for record in runs("end")}) > 2
    assert not Task.objects.exists()
    pool.wait_for_log("its process is replaced: open files")


@pytest.mark.sqlite  # to run it on one is enough
def test_more_workers_than_the_limit_of_open_files_allows_are_refused(start_pool):
    pool = start_pool("-c", 200, ready=False, prefix=["prlimit", "--nofile=1024:1024"])
    assert pool.wait_exit() == 1
    said = pool.log()
    assert "Traceback" not in said
    assert "the concurrency is 200" in said
    assert "needs a limit of 1280 open files, and may have 1024: raise it" in said


@pytest.mark.sqlite  # to run it on one is enough
def test_event_loops_are_as_in_a_fresh_worker_after_a_coroutine(start_pool, runs):
    start_pool("-c", 1)
    tasks.doze.delay("a", 0)
    leftovers.get_loop.delay("a")
    leftovers.mess.delay("b", "event loops")  # a function that calls asyncio.run()
    leftovers.get_loop.delay("b")
    wait_until(lambda: len(runs("loop")) == 2)


def test_processes_that_a_task_forks_have_connections_of_their_own(start_pool, runs, drained):
    start_pool("-c", 1)
    tasks.count_orders.delay("before")
    for key in range(3):
        leftovers.share_work.delay(key)
        drained()
        assert runs("shared", key)[0]["orders"] == [0, 1, 2, 3]
        assert runs("shared", key)[0]["count"] == 4
        Order.objects.all().delete()
    assert not Task.objects.exists()


@pytest.mark.postgresql
def test_a_daemon_that_a_task_has_forked_keeps_no_session_of_its_worker(start_pool, runs):
    """It has copies of all its sockets: the server would take the worker for alive."""
    start_pool("-c", 1)
    Order.objects.create(number=1)
    leftovers.fork_daemon.delay("a")
    (record,) = wait_until(lambda: runs("daemon"))
    os.kill(record["pid"], signal.SIGKILL)

    def is_free():
        with transaction.atomic():
            return Order.objects.select_for_update(skip_locked=True).exists()

    wait_until(is_free, what="the row is no longer locked")
    assert not gone(record["daemon"])
    for each in runs("daemon"):
        os.kill(each["daemon"], signal.SIGKILL)


@pytest.mark.sqlite  # to run it on one is enough
def test_a_soft_limit_holds_after_a_task_that_replaced_the_handlers_below_python(start_pool, runs):
    start_pool("-c", 1)
    leftovers.mess.delay("a", "signal handlers")
    limits.too_long.delay("b")
    wait_until(lambda: runs("warned", "b"))


@pytest.mark.sqlite  # to run it on one is enough
def test_a_worker_ends_with_its_supervisor_whatever_user_a_task_was(start_pool, runs):
    if os.geteuid() != 0:
        pytest.skip("needs root")
    pool = start_pool("-c", 1)
    leftovers.visit_another_user.delay("a")
    tasks.nap.delay("b", 60)
    (record,) = wait_until(lambda: runs("start", "b"))
    pool.signal(signal.SIGKILL)
    wait_until(lambda: gone(record["pid"]))


@pytest.mark.django_db(transaction=True)
def test_a_fork_leaves_the_session_of_its_parent_alone():
    """Also one in the middle of a transaction: it begins with none of it."""
    with transaction.atomic():
        Order.objects.create(number=1)
        raw = connection.connection
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                abandon_connections()
                alone = not connection.in_atomic_block and connection.connection is None
                code = 0 if alone and Order.objects.count() == 0 else 2
                connection.close()
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        Order.objects.create(number=2)
    assert connection.connection is raw
    assert Order.objects.count() == 2
