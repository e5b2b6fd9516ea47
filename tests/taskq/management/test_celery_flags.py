"""The flags of ``celery worker`` that ``taskq_pool`` takes."""

from __future__ import annotations

import os
import signal
import socket

import pytest
from django.core.management import CommandError, call_command

from stress.rig.pools import wait_until
from taskq.management import celery_flags
from taskq.models import Worker
from taskq.pool_context import Bounds
from tests.project.lab import tasks

HOST = socket.gethostname()


def refusal(*options):
    with pytest.raises(CommandError) as caught:
        call_command("taskq_pool", *options)
    return str(caught.value)


@pytest.mark.parametrize(
    "flag", [flag for flag in celery_flags.FLAGS if flag.refused], ids=lambda flag: flag.names[0]
)
def test_a_flag_that_would_be_missed_is_refused_with_the_mend(flag):
    for name in flag.names:
        value = [] if flag.value is None else ["x"]
        assert refusal(name, *value) == f"{' '.join([name, *value])}: {flag.why}"


def test_all_refused_flags_are_named_at_once():
    said = refusal("-D", "-E", "-P", "gevent", "--purge")
    assert said.count("; ") == 2
    assert "-D: let systemd" in said
    assert "-P gevent: there are only processes" in said
    assert "--purge: tasks are rows" in said
    assert "-E" not in said


@pytest.mark.sqlite  # to run it on one is enough
def test_a_units_flags_may_stay(start_pool):
    """All that change nothing, with the values with which they do not, and one line says so."""
    options = []
    for flag in celery_flags.FLAGS:
        if not flag.refused or flag.fine:
            value = flag.fine[0] if flag.fine else "1"
            options += [flag.names[0], *([] if flag.value is None else [value])]
    pool = start_pool("-c", 1, *options)
    (line,) = [each for each in pool.log().splitlines() if "change nothing here" in each]
    for flag in celery_flags.FLAGS:
        if not flag.refused or flag.fine:
            assert flag.names[0] in line
    assert "-P prefork" in line


@pytest.mark.sqlite  # to run it on one is enough
def test_queues_are_left_out(start_pool, runs):
    pool = start_pool("-c", 1, "-X", "mail,sms*")
    pool.wait_for_log("all but mail, sms*")
    for queue in ("mail", "sms2", "fax"):
        tasks.quick.apply_async((queue,), queue=queue)
    wait_until(lambda: runs("end", "fax"))
    tasks.quick.apply_async(("last",), queue="fax")
    wait_until(lambda: runs("end", "last"))
    assert not runs("start", "mail") + runs("start", "sms2")
    assert {worker.serves for worker in Worker.objects.all()} == {"*,*-mail,*-sms*"}


def test_leaving_out_all_queues_is_refused():
    assert refusal("-Q", "mail", "-X", "mail") == (
        "--exclude-queues: no queue is left to serve: mail without mail"
    )


@pytest.mark.parametrize(
    ("text", "bounds"), [("10,3", Bounds(3, 10)), ("4", Bounds(1, 4)), ("2,2", Bounds(2, 2))]
)
def test_bounds(text, bounds):
    assert celery_flags.bounds(text) == bounds


@pytest.mark.parametrize("text", ["", "0", "3,10", "10,0", "a,1", "3,2,1", "-1", "²"])
def test_bad_bounds_are_refused(text):
    assert f"{text!r}: give the most workers and the least" in refusal(f"--autoscale={text}")


def test_two_numbers_of_workers_are_refused():
    assert "exclude each other" in refusal("-c", "2", "--autoscale", "4,1")


@pytest.mark.sqlite  # to run it on one is enough
def test_a_pool_grows_while_work_waits(start_pool, runs):
    pool = start_pool("--autoscale", "3,1", ready=False).wait_ready(1)
    pool.wait_for_log("1 to 3")
    for key in ("a", "b", "c", "d"):
        tasks.nap.delay(key, 60)
    for key in ("a", "b", "c"):
        wait_until(lambda key=key: runs("start", key), what=f"{key} runs")
    assert len(pool.children("worker")) == 3


@pytest.mark.parametrize(
    ("given", "host"),
    [
        ("mail", f"mail@{HOST}"),
        ("mail@%h", f"mail@{HOST}"),
        ("mail@another", f"mail@{HOST}"),
        ("w-%n@x", f"w-{HOST.partition('.')[0]}@{HOST}"),
        ("100%%", f"100%@{HOST}"),
    ],
)
def test_what_a_pool_is_called(given, host):
    assert celery_flags.host(given) == host


@pytest.mark.parametrize("given", ["", "@%h", "x" * 65, "a\nb"])
def test_a_bad_name_is_refused(given):
    assert "give a name of 1 to 64 characters, such as mail@%h" in refusal(f"--hostname={given}")


@pytest.mark.sqlite  # to run it on one is enough
def test_a_pool_has_its_name_and_its_pid_in_a_file(start_pool, tmp_path):
    path = tmp_path / "pool.pid"
    path.write_text("999999999")  # of one that was killed
    pool = start_pool("-c", 1, "-n", "mail@%h", "--pidfile", path)
    assert path.read_text() == f"{pool.pid}\n"
    assert {worker.pool for worker in pool.leases()} == {f"mail@{HOST}:{pool.pid}"}
    other = start_pool("-c", 1, "--pidfile", path, ready=False)
    assert other.wait_exit() == 1
    other.wait_for_log(f"which names the process {pool.pid}, and that runs")
    assert path.read_text() == f"{pool.pid}\n"
    pool.signal(signal.SIGTERM)
    assert pool.wait_exit() == 0
    assert not path.exists()


def test_a_file_that_cannot_be_written_is_refused(tmp_path):
    path = tmp_path / "none" / "pool.pid"
    assert f"--pidfile is {str(path)!r}, which cannot be written" in refusal("--pidfile", path)
    assert os.listdir(tmp_path) == []
