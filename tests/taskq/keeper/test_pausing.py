"""Queues that are paused and resumed while pools are at work."""

from __future__ import annotations

import time

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.urls import reverse

from stress.rig.pools import wait_until
from taskq import pausing
from taskq.models import PausedQueue, Task, Worker
from tests.project.lab import tasks as lab
from tests.taskq.waking import DEAF, asleep


def lanes(worker, queues=""):
    from taskq.task.queues import Queues

    return [lane.queue for lane in worker.db.lanes(Queues.parse(queues))]


@pytest.fixture
def mail(transactional_db):
    lab.noop.apply_async(queue="mail")
    lab.noop.apply_async(queue="mail", priority=5)
    lab.noop.apply_async(queue="other")


def test_a_paused_queue_has_no_lanes(mail, worker):
    assert sorted(lanes(worker)) == ["mail", "mail", "other"]
    assert pausing.pause("mail")
    for queues in ("", "mail,other", "ma*,oth*"):
        assert lanes(worker, queues) == ["other"]
    assert lanes(worker, "mail") == []
    worker.slept = True
    assert [task.queue for task in (*worker.claim(), *worker.claim())] == ["other"]
    assert pausing.resume("mail")
    assert sorted(lanes(worker)) == ["mail", "mail"]


def test_a_pause_is_part_of_the_transaction(mail, worker):
    with transaction.atomic():
        pausing.pause("mail")
        transaction.set_rollback(True)
    assert len(lanes(worker)) == 3


@pytest.mark.django_db
def test_it_is_said_who_and_when_and_whether_it_was_so_already():
    assert pausing.pause("mail", by="ann")
    assert not pausing.pause("mail", by="bob")
    (paused,) = pausing.paused()
    assert (paused.queue, paused.paused_by) == ("mail", "ann")
    assert pausing.resume("mail")
    assert not pausing.resume("mail")
    assert pausing.paused() == []


@pytest.mark.django_db
@pytest.mark.parametrize("wrong", ["", "a,b", "mail*", "q" * 65, "nul\0"])
def test_what_is_no_queue_is_refused(wrong):
    for change in (pausing.pause, pausing.resume):
        with pytest.raises(ValueError, match="queue is"):
            change(wrong)
    for command in ("taskq_pause", "taskq_resume"):
        with pytest.raises(CommandError, match="queue is"):
            call_command(command, "good", wrong)
    assert not PausedQueue.objects.exists()


# At work


def starts(runs):
    return len(runs("start"))


def test_nothing_of_it_starts_soon_after_and_all_of_it_at_once_when_resumed(start_pool, runs):
    pool = start_pool("-c", 2, *DEAF)
    lab.nap.delay_many([("many", 0.005)] * 12_000)
    wait_until(lambda: starts(runs) > 50, what="they run")
    pausing.pause("default")

    def calm():
        """They have looked, and found nothing."""
        return [doing for _, doing in pool.titles("worker").values()] == ["idle", "idle"]

    wait_until(calm, what="no more of them start")
    before = starts(runs)
    assert before < 6_000
    lab.quick.apply_async(("other",), queue="other")
    wait_until(lambda: runs("end", "other"), what="other queues go on")
    time.sleep(0.3)
    assert starts(runs) == before + 1
    assert not Task.objects.filter(queue="default", state=1).exists(), "none is held"
    pausing.resume("default")
    wait_until(lambda: starts(runs) > before + 1)


def test_what_waits_behind_a_long_run_is_not_started_either(start_pool, runs, tmp_path):
    go = tmp_path / "go"
    start_pool("-c", 1)
    lab.quick.delay_many([("a",)] * 50)
    wait_until(lambda: len(runs("end")) == 50, what="quick is known to be quick")
    lab.nap_until.delay("long", str(go))
    lab.quick.delay_many([("b",)] * 10)
    wait_until(lambda: runs("start", "long"))
    pausing.pause("default")
    go.touch()
    wait_until(lambda: runs("end", "long"), what="what runs is finished")
    time.sleep(0.5)
    assert not runs("start", "b")
    assert Task.objects.pending().count() == 10


def test_a_pool_that_starts_honours_it_and_one_that_sleeps_is_woken(start_pool, runs):
    pausing.pause("default")
    lab.quick.delay("a")
    start_pool("-c", 2, *DEAF)
    if connection.vendor == "postgresql":
        wait_until(asleep)
    time.sleep(0.3)
    assert not runs()
    call_command("taskq_resume", "default")
    wait_until(lambda: runs("end", "a"))


def test_a_burst_ends_beside_a_queue_that_is_paused(start_pool, transactional_db):
    pausing.pause("mail")
    lab.noop.apply_async(queue="mail")
    lab.noop.delay()
    pool = start_pool("-c", 1, "--burst", ready=False)
    assert pool.wait_exit() == 0
    assert Task.objects.get().queue == "mail"
    assert not Worker.objects.exists()


# Commands


@pytest.mark.django_db
def test_commands_pause_list_and_resume(capsys):
    call_command("taskq_pause", "mail", "news")
    assert capsys.readouterr().out == "mail paused\nnews paused\n"
    call_command("taskq_pause", "mail")
    assert capsys.readouterr().out == "mail was paused already\n"
    call_command("taskq_pause")
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("mail paused since 2")
    assert " by " in first
    assert second.startswith("news")
    call_command("taskq_resume", "mail", "other")
    assert capsys.readouterr().out == "mail resumed\nother was not paused\n"
    call_command("taskq_resume", all=True)
    assert capsys.readouterr().out == "news resumed\n"
    assert not PausedQueue.objects.exists()
    for arguments in ([], ["mail", "--all"]):
        with pytest.raises(CommandError, match="name the queues to resume, or give --all"):
            call_command("taskq_resume", *arguments)


# Admin


@pytest.fixture
def admin(client, transactional_db):
    client.force_login(User.objects.create_superuser("ann"))
    return client


def test_in_the_admin_to_add_is_to_pause_and_to_delete_is_to_resume(admin):
    answer = admin.post(reverse("admin:taskq_pausedqueue_add"), {"queue": "mail"})
    assert answer.status_code == 302
    (paused,) = pausing.paused()
    assert (paused.queue, paused.paused_by) == ("mail", "ann")
    assert b"mail" in admin.get(reverse("admin:taskq_pausedqueue_changelist")).content
    page = reverse("admin:taskq_pausedqueue_change", args=["mail"])
    assert b"ann" in admin.get(page).content
    admin.post(reverse("admin:taskq_pausedqueue_delete", args=["mail"]), {"post": "yes"})
    assert pausing.paused() == []


def test_the_admin_refuses_what_is_no_queue(admin):
    answer = admin.post(reverse("admin:taskq_pausedqueue_add"), {"queue": "mail*"})
    assert answer.status_code == 200
    assert b"a comma or a star" in answer.content
    assert pausing.paused() == []


def test_the_admin_resumes_those_that_are_chosen(admin):
    for queue in ("mail", "news", "other"):
        pausing.pause(queue)
    data = {"action": "delete_selected", "_selected_action": ["mail", "news"]}
    answer = admin.post(reverse("admin:taskq_pausedqueue_changelist"), data, follow=True)
    assert b"2 queues resumed." in answer.content
    assert [each.queue for each in pausing.paused()] == ["other"]


@pytest.mark.parametrize("allowed", ["view", "add", "delete"])
def test_who_may_do_it(client, transactional_db, allowed):
    from django.contrib.auth.models import Permission

    user = User.objects.create_user("bob", is_staff=True)
    for each in {allowed, "view"}:
        user.user_permissions.add(Permission.objects.get(codename=f"{each}_pausedqueue"))
    client.force_login(user)
    pausing.pause("news")
    client.post(reverse("admin:taskq_pausedqueue_add"), {"queue": "mail"})
    client.post(reverse("admin:taskq_pausedqueue_delete", args=["news"]), {"post": "yes"})
    names = {each.queue for each in pausing.paused()}
    assert names == {"view": {"news"}, "add": {"news", "mail"}, "delete": set()}[allowed]


# The look


@pytest.mark.postgresql
def test_a_look_probes_for_pauses_by_their_key(transactional_db):
    from taskq.sql.postgresql import claims
    from tests.taskq.sql.plans import explain, indexes

    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO taskq_task (name, queue) SELECT 'x', 'q' || n % 3 "
            "FROM generate_series(1, 20000) n"
        )
        cursor.execute("INSERT INTO taskq_pausedqueue VALUES ('q1', now(), '')")
        cursor.execute("VACUUM ANALYZE taskq_task, taskq_pausedqueue")
        cursor.execute("SET enable_seqscan = off; SET enable_bitmapscan = off")
    try:
        nodes, pages = explain(connection.connection, claims.LANES, {"queues": None})
    finally:
        connection.close()
    # Django makes two indexes of the key, and either will do.
    (other,) = indexes(nodes) - {"taskq_task_ready"}
    assert other.startswith("taskq_pausedqueue")
    assert nodes[0]["Actual Rows"] == 2
    assert pages < 60
