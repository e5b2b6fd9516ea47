"""Where a running task is: its stack is asked for live, and the run goes on."""

import datetime
import os
import signal
import threading
import time

import psutil
import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.utils import timezone

from pool import State as Is
from stress.rig.pools import GENEROUS, wait_until
from taskq import stacks
from taskq.exceptions import NoStack
from taskq.keeper import stacks as answering
from taskq.keeper.stacks import StackAnswers
from taskq.models import StackRequest, State, Task, Worker
from taskq.sql.postgresql import stacks as statements
from taskq.store.stacks import LEFT_FOR, Answer
from tests.conftest import SLACK
from tests.project.lab import lost
from tests.taskq.conftest import child_of_no_pool
from tests.taskq.sql.plans import explain, indexes, scans_whole_table

#: Options of a pool, and how long to ask it, on a machine where a process may get no CPU.
PATIENT = {"TASKQ_TEST_READY": "is_patient"}
LONG = GENEROUS


@pytest.fixture
def running(start_pool, runs):
    """A pool of one worker that runs a task: running(task, *arguments) gives the task's id."""
    pool = start_pool("-c", 1, **PATIENT)

    def run(task, *arguments):
        pk = task.delay("a", *arguments).id.int
        wait_until(lambda: runs("start", "a"))
        return pool, pk

    return run


@pytest.mark.parametrize("task", [lost.wait_here, lost.turn_round_here], ids=["sleeps", "is busy"])
def test_a_run_says_where_it_is_again_and_again_and_goes_on(running, runs, task):
    _, pk = running(task, 10)
    (start,) = runs("start", "a")
    name = task.__wrapped__.__name__
    for _ in range(3):
        head, _, stack = stacks.ask(pk, timeout=LONG).partition("\n\n")
        assert f"worker 1, pid {start['pid']}, " in head
        assert f" runs tests.project.lab.lost.{name} #{pk} for " in head
        assert f"in {name}" in stack.splitlines()[1]
    (end,) = wait_until(lambda: runs("end", "a"))
    assert 10 <= (end["at"] - start["at"]) / 10**9 < 10 + SLACK
    wait_until(lambda: not Task.objects.exists())
    assert not StackRequest.objects.exists()


@pytest.mark.postgresql
def test_a_pool_that_hears_wake_ups_answers_at_once(start_pool, runs):
    start_pool("-c", 1, "--lease", 300, "--heartbeat", 100, **PATIENT)
    pk = lost.wait_here.delay("a", 300).id.int
    wait_until(lambda: runs("start", "a"))
    assert "in wait_here" in stacks.ask(pk, timeout=LONG)


def test_a_pool_that_hears_none_answers_within_a_heartbeat(start_pool, runs, tmp_path):
    start_pool("-c", 1, "--lease", 300, "--heartbeat", 0.5, TASKQ_LISTEN="false", **PATIENT)
    pk = lost.wait_here.delay("a", 300).id.int
    wait_until(lambda: runs("start", "a"))
    assert "in wait_here" in stacks.ask(pk, timeout=LONG)


def test_a_process_can_be_asked_whatever_it_does(start_pool):
    pool = start_pool("-c", 1, **PATIENT)
    for name, pid in (("worker 1", pool.children("worker")), ("keeper", pool.children("keeper"))):
        text = stacks.ask_worker(name, Worker.objects.get(name=name).pool, timeout=LONG)
        assert text.startswith(f"{name}, pid {pid[name]}, ")
        assert "runs no task" in text
        assert 'File "' in text
    assert stacks.ask_worker("worker 1", timeout=LONG) != ""


def test_of_processes_of_one_name_the_pool_decides(start_pool):
    one, other = start_pool("-c", 1, **PATIENT), start_pool("-c", 1, **PATIENT)
    with pytest.raises(NoStack, match="several pools have a 'worker 1': name one of"):
        stacks.ask_worker("worker 1")
    (name,) = [worker.pool for worker in other.leases() if worker.name == "worker 1"]
    pid = other.children("worker")["worker 1"]
    listens = Worker.objects.filter(pool=name, listens=True)
    wait_until(lambda: connection.vendor == "sqlite" or listens.exists(), what="it listens")
    assert f"pid {pid}" in stacks.ask_worker("worker 1", name, timeout=LONG)
    assert one.pid != other.pid
    with pytest.raises(NoStack, match="there is no 'worker 1' in pool 'x:1'"):
        stacks.ask_worker("worker 1", "x:1")
    with pytest.raises(NoStack, match="there is no 'worker 9' in any pool"):
        stacks.ask_worker("worker 9")


def test_many_who_ask_at_once_are_all_answered(running, database_url):
    _, pk = running(lost.wait_here, 300)
    found = []

    def ask():
        try:
            found.append(stacks.ask(pk, timeout=LONG))
        finally:
            connection.close()

    threads = [threading.Thread(target=ask) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 5
    assert all("in wait_here" in stack for stack in found)


def test_a_worker_that_is_stopped_gives_none_and_says_why(running, runs):
    _, pk = running(lost.wait_here, 300)
    worker = psutil.Process(runs("start", "a")[0]["pid"])
    worker.suspend()
    wait_until(lambda: worker.status() == psutil.STATUS_STOPPED)
    with pytest.raises(NoStack, match=r"worker 1 of .* gives no stack: its process is stopped"):
        stacks.ask(pk, timeout=LONG)
    os.kill(worker.pid, signal.SIGCONT)
    wait_until(lambda: worker.status() != psutil.STATUS_STOPPED)
    assert "in wait_here" in stacks.ask(pk, timeout=LONG)


# Who asks in vain


def test_what_does_not_run_has_no_stack(transactional_db, new_worker):
    waits = Task.objects.create(name="x")
    failed = Task.objects.create(name="y", state=State.FAILED)
    orphan = Task.objects.create(name="z", state=State.RUNNING, worker_id=77)
    for asked, why in [
        (waits.pk, "it is ready|it is Ready"),
        (failed.uuid, "it is failed|it is Failed"),
        (orphan.pk, "is lost: its worker is gone"),
        (2**62, "it has ended, or there is none with this id"),
        (2**100, "it has ended, or there is none with this id"),
    ]:
        with pytest.raises(NoStack, match=why):
            stacks.ask(asked)
    with pytest.raises(ValueError, match="'nonsense' is no task id: give its number"):
        stacks.ask("nonsense")


def test_where_nobody_answers_the_question_is_taken_back(new_worker):
    worker = new_worker()
    task = Task.objects.create(name="x", state=State.RUNNING, worker_id=worker.id)
    with pytest.raises(NoStack, match=r"has not answered within 0\.1 s"):
        stacks.ask(task.pk, timeout=0.1)
    assert not StackRequest.objects.exists()
    for timeout in (-1, "x"):
        with pytest.raises(ValueError, match="timeout is"):
            stacks.ask(task.pk, timeout=timeout)


def test_in_a_transaction_nobody_would_see_the_question(new_worker):
    task = Task.objects.create(name="x", state=State.RUNNING, worker_id=new_worker().id)
    with transaction.atomic(), pytest.raises(RuntimeError, match="ask outside of it"):
        stacks.ask(task.pk)


def test_the_command_shows_it_or_says_why_not(running, capsys):
    _, pk = running(lost.wait_here, 300)
    call_command("taskq_stack", str(pk), timeout=LONG)
    assert "in wait_here" in capsys.readouterr().out
    call_command("taskq_stack", worker="worker 1", timeout=LONG)
    assert "in wait_here" in capsys.readouterr().out
    for words, why in [
        (["0"], "there is none with this id"),
        ([], "give either the id of a task, or --worker"),
        ([str(pk), "--worker", "worker 1"], "give either"),
        ([str(pk), "--pool", "x"], "--pool is for --worker"),
        (["x"], "'x' is no task id: give its number"),
        (["--worker", "worker 9"], "there is no 'worker 9'"),
        ([str(pk), "--timeout", "-1"], "timeout is -1.0"),
    ]:
        with pytest.raises(CommandError, match=why):
            call_command("taskq_stack", *words)


# The keeper's part


class Store:
    """The requests, and the answers, of a test."""

    def __init__(self, *asked):
        self.stacks, self.open, self.answers, self.looks = self, list(asked), [], 0

    def asked(self, workers):
        self.looks += 1
        return [each for each in self.open if each.worker in workers]

    def prune(self, limit):
        self.pruned = limit

    def answer(self, answers):
        self.answers += answers
        done = {answer.id for answer in answers}
        self.open = [each for each in self.open if each.id not in done]


@pytest.fixture
def keeper():
    child = child_of_no_pool("worker")
    child.slot.pid = os.getpid()
    child.slot.grant(7, child.slot.generation, 2**62)
    child.slot.state = Is.BUSY
    return child.slot, StackAnswers(child.scoreboard, every=0.0)


def test_a_run_that_is_not_the_one_asked_for_is_not_shown(keeper):
    slot, answers = keeper
    store = Store(answering.Asked(1, 7, 5))
    answers.look(store)
    slot.begin(6, 1, "shop.send", 1, 0, 0)
    store.open = [answering.Asked(2, 7, 5)]
    answers.look(store)
    assert [answer.refusal for answer in store.answers] == [
        "it has just ended, or is about to start",
        "its worker runs shop.send #6 now: it waits behind that, or has just ended",
    ]
    assert not any(answer.stack for answer in store.answers)


def test_a_run_that_ends_before_it_writes_is_not_shown_as_the_next(keeper, monkeypatch):
    slot, answers = keeper
    monkeypatch.setattr(slot.stack_file, "ask", lambda pid, what: True)
    monkeypatch.setattr(slot.stack_file, "is_written", lambda pid, what: True)
    monkeypatch.setattr(slot.stack_file, "read", lambda: slot.begin(6, 1, "next", 1, 0, 0) or "x")
    slot.begin(5, 1, "shop.send", 1, 0, 0)
    store = Store(answering.Asked(1, 7, 5))
    answers.look(store)
    assert "its worker runs next #6 now" in store.answers[0].refusal


def test_a_process_that_does_not_write_is_given_up_and_holds_up_nothing(keeper, monkeypatch):
    slot, answers = keeper
    monkeypatch.setattr(slot.stack_file, "ask", lambda pid, what: True)
    monkeypatch.setattr(slot.stack_file, "is_written", lambda pid, what: False)
    monkeypatch.setattr(answering, "PATIENCE", 3.0)
    store = Store(answering.Asked(1, 7, 0))
    began = time.monotonic()
    answers.look(store)
    assert time.monotonic() - began < 3.0, "it does not wait"
    assert not store.answers
    store.open.append(answering.Asked(2, 7, 0))  # asked meanwhile: it gets the next answer

    def look():
        answers.look(store)
        return len(store.answers) == 2

    wait_until(look)
    assert all("hangs in the kernel" in answer.refusal for answer in store.answers)


def test_a_busy_pool_looks_once_in_a_heartbeat_and_an_idle_one_when_it_is_told(keeper):
    slot, _ = keeper
    board = type("Board", (), {"living": lambda self: iter([slot])})()
    busy, idle = StackAnswers(board, every=60.0), StackAnswers(board, every=60.0)
    store = Store()
    slot.state = Is.IDLE
    for _ in range(3):
        idle.look(store)
    assert store.looks == 0
    due = idle.due
    idle.told()
    assert idle.due < due
    wait_until(lambda: idle.look(store) or store.looks)
    slot.state = Is.BUSY
    for _ in range(3):
        busy.look(store)
    assert store.looks == 2


# The table


def test_what_callers_have_left_is_pruned(db_store):
    for age in (0.0, LEFT_FOR + 10):
        at = timezone.now() - datetime.timedelta(seconds=age)
        StackRequest.objects.create(worker_id=1, task_id=0, asked_at=at)
    assert db_store.stacks.prune(10) == 1
    assert StackRequest.objects.count() == 1


def test_whoever_is_answered_has_what_others_have_left_pruned(running):
    _, pk = running(lost.wait_here, 300)
    at = timezone.now() - datetime.timedelta(seconds=LEFT_FOR + 10)
    StackRequest.objects.create(worker_id=1, task_id=0, asked_at=at)
    stacks.ask(pk, timeout=LONG)
    wait_until(lambda: not StackRequest.objects.exists())


def test_an_answer_to_a_caller_that_left_is_no_error(db_store):
    request = StackRequest.objects.create(worker_id=1, task_id=0)
    db_store.stacks.answer([Answer(request.pk + 1, "", "x"), Answer(request.pk, "", "y")])
    assert StackRequest.objects.get().stack == "y"
    assert db_store.stacks.asked([1]) == []


@pytest.mark.postgresql
def test_the_look_reads_open_requests_alone(transactional_db):
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO taskq_stackrequest (worker_id, task_id, answered_at) "
            "SELECT n % 50, n, now() FROM generate_series(1, 20000) n"
        )
        cursor.execute("VACUUM ANALYZE taskq_stackrequest")
    raw = connection.connection
    assert isinstance(raw, psycopg.Connection)
    psycopg.Cursor(raw).execute("SET enable_seqscan = off; SET enable_bitmapscan = off")
    nodes, pages = explain(raw, statements.ASKED, {"workers": [1, 2, 3]})
    assert indexes(nodes) == {"taskq_stack_open"}
    assert not scans_whole_table(nodes, "taskq_stackrequest")
    assert pages < 10
    nodes, _ = explain(raw, statements.ANSWER, {"id": 1, "refusal": "", "stack": ""})
    assert indexes(nodes) == {"taskq_stackrequest_pkey"}
    nodes, pages = explain(raw, statements.PRUNE, {"ttl": 1.0, "limit": 10})
    assert indexes(nodes) <= {"taskq_stack_asked", "taskq_stackrequest_pkey"}
    assert pages < 100
