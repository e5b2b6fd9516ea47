"""The pages of workflows: what stands still, the graph, and the buttons."""

from __future__ import annotations

import re

import pytest
from django.db import connection
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext

from taskq.dashboard import searching
from taskq.dashboard.remembered import remembered
from taskq.models import SentWorkflow, State, Task
from taskq.workflow import Workflow
from tests.project.lab import tasks as lab
from tests.taskq.admin_site import HOUR, said, text, user_with

from .site import OVERVIEW, WORKFLOWS, ran, words

pytestmark = pytest.mark.django_db

STILL = "A workflow stands still, as a step of it has failed."


def page(sent, query=""):
    return f"{WORKFLOWS}{sent.pk}/{query}"


def send(name="report", parts=3):
    """Parts, and two steps one after the other that wait for all of them."""
    flow = Workflow(name)
    steps = [flow.add(lab.add, [i, 0]) for i in range(parts)]
    total = flow.add(lab.trace, [flow.results(steps)])
    flow.add(lab.noop, after=[total])
    return flow.send()


def fail(*ids, error="ValueError: no", **fields):
    Task.objects.filter(pk__in=ids).update(
        state=State.FAILED, failed_at=Now(), error=error, attempt=1, **fields
    )
    remembered.forget()


def done(*ids):
    Task.objects.filter(pk__in=ids).delete()
    remembered.forget()


def stands_still(sent):
    """All parts but one are done, and that one has failed."""
    first, *others = sent.task_ids[:-2]
    fail(first)
    done(*others)
    return first


def press(client, sent, act):
    return client.post(page(sent), {"act": act}, follow=True)


def buttons(client, sent):
    found = text(client.get(page(sent)))
    return re.findall(r'id="(retry-failed|retry-\d+|cancel)"', found)


def drawn(client, sent):
    """Each box of the graph: its class and its lines."""
    found = text(client.get(page(sent)))
    boxes = re.findall(r'<a href="[^"]*" id="node-\d+" class="(\w+)".*?</a>', found)
    lines = [re.findall(r"<text[^>]*>(.*?)</text>", box) for box in found.split("<a href")[1:]]
    return list(zip(boxes, [each for each in lines if each], strict=True))


# The list


def test_those_that_stand_still_come_first(root):
    first, second, over = send("first"), send("second"), send("over")
    stands_still(first)
    done(*over.task_ids)
    SentWorkflow.objects.filter(pk=over.pk).update(finished_at=Now())
    found = words(root.get(WORKFLOWS))
    assert "Stand still, as a step has failed" in found
    assert f"first #{first.pk} stands still 2 of 5 done 1" in found
    assert f"second #{second.pk} goes on 0 of 5 done -" in found
    assert f"over #{over.pk} done 5 steps -" in found
    assert found.index("first #") < found.index("second #") < found.index("over #")
    assert f'href="{page(first)}"' in text(root.get(WORKFLOWS))


def test_one_that_has_failed_and_goes_on_elsewhere_does_not_stand_still(root):
    sent = send()
    fail(sent.task_ids[0])
    assert f"report #{sent.pk} goes on 0 of 5 done 1" in words(root.get(WORKFLOWS))
    assert STILL not in words(root.get(OVERVIEW))


def test_one_with_many_steps_left_is_not_counted_to_the_end(root, monkeypatch):
    from taskq.workflow import overview

    monkeypatch.setattr(overview, "COUNTED", 2)
    monkeypatch.setattr(overview, "_LEFT", overview._LEFT.replace("1001", "3"))
    sent = send()
    assert "1,000+ left of 5" not in words(root.get(WORKFLOWS))
    assert f"report #{sent.pk} goes on 3 left of 5" in words(root.get(WORKFLOWS))


def test_without_workflows_the_list_says_so(root):
    assert "No workflow goes on." in words(root.get(WORKFLOWS))


def test_the_overview_leads_to_one_that_stands_still(root):
    sent = send()
    assert STILL not in words(root.get(OVERVIEW))
    first = stands_still(sent)
    assert STILL in words(root.get(OVERVIEW))
    assert f'href="{WORKFLOWS}">{STILL}' in text(root.get(OVERVIEW))
    Task.objects.filter(pk=first).retry()
    remembered.forget()
    assert STILL not in words(root.get(OVERVIEW))


@pytest.mark.parametrize("fields", [{"cancelled_at": Now()}, {"finished_at": Now()}])
def test_one_that_is_over_does_not_stand_still(root, fields):
    sent = send()
    stands_still(sent)
    SentWorkflow.objects.update(**fields)
    assert STILL not in words(root.get(OVERVIEW))
    assert "Stand still" not in words(root.get(WORKFLOWS))


def test_a_failed_task_of_no_workflow_is_none_of_it(root):
    fail(Task.objects.create(name="shop.pay").pk)
    assert STILL not in words(root.get(OVERVIEW))


# The page of one


def test_the_graph_shows_how_each_step_stands(root, good_worker):
    sent = send()
    one, two, _three, _total, _last = sent.task_ids
    fail(one)
    Task.objects.filter(pk=two).update(state=State.RUNNING, worker=good_worker)
    done(_three)
    ran(task_id=_three, seconds=1.5)
    assert drawn(root, sent) == [
        ("failed", ["add", "failed"]),
        ("active", ["add", "running"]),
        ("done", ["add", "done, 1.5 s"]),
        ("blocked", ["trace", "blocked"]),
        ("blocked", ["noop", "blocked"]),
    ]
    found = words(root.get(page(sent)))
    assert f"4. tests.project.lab.tasks.trace #{sent.task_ids[3]} blocked - 1, 2, 3" in found


def test_failed_steps_come_first_with_their_errors(root):
    sent = send()
    first = stands_still(sent)
    found = words(root.get(page(sent)))
    assert found.index("ValueError: no") < found.index("Graph") < found.index("After")
    assert buttons(root, sent) == ["retry-failed", "cancel", f"retry-{first}"]
    assert f'href="/taskq/task/{first}/"' in text(root.get(page(sent)))


def test_a_large_group_is_one_node_with_counts(root):
    sent = send(parts=60)
    fail(*sent.task_ids[:2])
    done(*sent.task_ids[2:30])
    assert drawn(root, sent) == [
        ("failed", ["60 add", "2 failed, 30 ready, 28 d…"]),
        ("blocked", ["trace", "blocked"]),
        ("blocked", ["noop", "blocked"]),
    ]
    found = words(root.get(page(sent, "?node=0")))
    assert f"add #{sent.task_ids[0]} failed" in found
    assert found.index(f"#{sent.task_ids[31]} ready") < found.index(f"#{sent.task_ids[2]} done")
    for wrong in ("?node=7", "?node=-1", "?node=x"):
        assert f"#{sent.task_ids[31]} ready" not in words(root.get(page(sent, wrong)))


def test_an_alternative_that_was_not_needed_did_not_run(root):
    flow = Workflow()
    first = flow.add(lab.add, [1, 2])
    flow.add(lab.noop, instead_of=first)
    flow.add(lab.trace, [first.result])
    sent = flow.send()
    done(*sent.task_ids[:2])
    assert [kind for kind, _lines in drawn(root, sent)] == ["done", "gone", "blocked"]


def test_steps_that_were_added_are_counted(root):
    sent = send()
    Task.objects.create(name="shop.pay", workflow_id=sent.pk)
    assert "Added while it ran 1 ready" in words(root.get(page(sent)))


def test_a_failed_step_is_retried_and_the_workflow_goes_on(root):
    sent = send()
    first = stands_still(sent)
    found = press(root, sent, f"retry:{first}")
    assert said(found) == ["1 step will run again. What waits for it goes on after that."]
    assert Task.objects.get(pk=first).state == State.READY
    assert said(press(root, sent, f"retry:{first}")) == ["There is nothing to retry."]


def test_all_failed_steps_are_retried(root):
    sent, other = send(), send()
    fail(*sent.task_ids[:2], other.task_ids[0])
    found = press(root, sent, "retry_failed")
    assert said(found) == ["2 steps will run again. What waits for them goes on after that."]
    assert Task.objects.failed().get().pk == other.task_ids[0]


def test_a_step_of_another_workflow_is_left_alone(root):
    sent, other = send(), send()
    fail(other.task_ids[0])
    for id in (other.task_ids[0], "", "x", 10**30):
        assert said(press(root, sent, f"retry:{id}")) == ["There is nothing to retry."]


def test_a_workflow_is_cancelled_after_a_question(root):
    sent = send()
    assert 'id="confirm"' not in text(root.get(page(sent)))
    assert "This cannot be undone." in words(root.get(page(sent, "?verb=cancel")))
    found = press(root, sent, "cancel")
    assert said(found) == ["The workflow is cancelled: 5 steps removed, 0 steps asked to end."]
    assert not Task.objects.exists()
    assert buttons(root, sent) == []
    assert f"report #{sent.pk} cancelled 5 steps" in words(root.get(page(sent)))
    assert 'id="confirm"' not in text(root.get(page(sent, "?verb=cancel")))


def test_failed_steps_of_a_cancelled_workflow_are_not_retried(root):
    sent = send()
    fail(sent.task_ids[0])
    press(root, sent, "cancel")
    assert Task.objects.get().state == State.FAILED
    assert buttons(root, sent) == []
    assert "ValueError: no" in words(root.get(page(sent)))


def test_one_that_is_over_is_sent_again(root):
    sent = send()
    assert "send-again" not in text(root.get(page(sent)))
    press(root, sent, "cancel")
    assert "send-again" in text(root.get(page(sent)))
    found = press(root, sent, "send_again")
    assert said(found) == ["All of it was sent again. This is the new workflow."]
    new = SentWorkflow.objects.latest("pk")
    assert found.redirect_chain == [(page(new), 302)]
    assert new.steps_left().count() == 5


def test_who_may_look_sees_no_button_and_does_nothing(client):
    sent = send()
    first = stands_still(sent)
    staff = user_with("view_task")
    assert buttons(staff, sent) == []
    for act in ("cancel", "retry_failed", "send_again", f"retry:{first}"):
        assert staff.post(page(sent), {"act": act}).status_code == 403
    assert "confirm" not in text(staff.get(page(sent, "?verb=cancel"))).partition("<main")[2]
    assert client.get(page(sent)).status_code == 302
    assert client.get(WORKFLOWS).status_code == 302
    assert Task.objects.failed().count() == 1


def test_a_verb_that_there_is_not_is_refused(root):
    for act in ("", "boom", "view", ":1"):
        assert root.post(page(send()), {"act": act}).status_code == 400


def test_one_that_is_not_there_is_not_found(root):
    for id in (4711, 10**30):
        assert root.get(f"{WORKFLOWS}{id}/").status_code == 404
    assert root.post(f"{WORKFLOWS}4711/", {"act": "cancel"}).status_code == 404
    # That it was not there is not remembered.
    sent = send()
    SentWorkflow.objects.filter(pk=sent.pk).update(id=4711)
    assert root.get(f"{WORKFLOWS}4711/").status_code == 200


def test_one_that_was_written_by_hand_has_a_page(root):
    for number, steps in enumerate(("[]", "", "{", "[1]", '[{"name": 5}]')):
        row = SentWorkflow.objects.create(
            name="odd\x1b", steps=steps, edges="[[]]" if number else "[]", tasks="[1]"
        )
        found = text(root.get(page(row)))
        assert "\x1b" not in found


def test_the_live_part_is_304_while_nothing_changes(root):
    sent = send()
    url = root.get(page(sent)).context["live_url"]
    answer = root.get(url)
    assert "<html" not in text(answer)
    assert root.get(url, headers={"If-None-Match": answer["ETag"]}).status_code == 304
    stands_still(sent)
    assert "ValueError: no" in text(root.get(url, headers={"If-None-Match": answer["ETag"]}))


# The pages of tasks, and the search


def test_the_page_of_a_step_names_its_workflow_and_its_neighbors(root):
    sent = send()
    one, two, _three, total, last = sent.task_ids
    found = words(root.get(f"/taskq/task/{total}/"))
    assert f"Workflow report #{sent.pk}" in found
    assert f"tasks.add #{one} pending" in found.partition("Waits for")[2]
    assert f"tasks.noop #{last} blocked" in found.partition("What waits for it")[2]
    assert f'href="{page(sent)}"' in text(root.get(f"/taskq/task/{total}/"))
    done(one)
    found = words(root.get(f"/taskq/task/{two}/"))
    assert f"tasks.trace #{total} blocked" in found.partition("What waits for it")[2]
    assert "Workflow" not in words(root.get("/taskq/task/4711/")).partition("<main")[2]


def test_of_a_blocked_step_only_the_cancelling_makes_sense(root):
    sent = send()
    total = sent.task_ids[-2]
    url = f"/taskq/task/{total}/"
    found = text(root.get(url))
    verbs = ("retry", "run_now", "cancel", "discard", "stack")
    assert [verb for verb in verbs if f"verb-{verb}" in found] == ["cancel"]
    for verb, answer in {
        "retry": "There is nothing to retry.",
        "run_now": "The task does not wait.",
    }.items():
        assert said(root.post(url, {"verb": verb}, follow=True)) == [answer]
        assert Task.objects.get(pk=total).state == State.BLOCKED
    assert said(root.post(url, {"verb": "cancel"}, follow=True)) == [
        "The task waited, and was removed. Steps that wait for it to be done are removed too."
    ]


def test_the_search_finds_a_workflow_by_number_and_name():
    sent = send("monthly report")
    old = SentWorkflow.objects.create(steps="[]", edges="[]", tasks="[]", name="other")
    for query in (str(sent.pk), f"#{sent.pk}", "monthly", "MONTHLY rep"):
        (table,) = [each for each in searching.search("default", query) if each.workflows]
        assert [hit.id for hit in table.hits] == [sent.pk], query
    for query in (str(old.pk + 1), "nothing", "9" * 40):
        assert not [each for each in searching.search("default", query) if each.workflows]


def test_a_hit_leads_to_the_page(root):
    sent = send("monthly report")
    assert f'href="{page(sent)}"' in text(root.get("/taskq/search/?q=monthly"))


# What a look costs


def queries_of(client, url):
    remembered.forget()
    with CaptureQueriesContext(connection) as sent:
        text(client.get(url))
    return [query["sql"] for query in sent if "taskq_" in query["sql"]]


@pytest.mark.parametrize("parts", [3, 300])
def test_a_look_costs_as_many_queries_whatever_the_size(root, parts):
    sent = send(parts=parts)
    fail(*sent.task_ids[: parts // 2])
    send(parts=parts)
    assert len(queries_of(root, WORKFLOWS)) == 3
    assert len(queries_of(root, page(sent))) == 5
    remembered.forget()
    root.get(page(sent))
    with CaptureQueriesContext(connection) as again:
        root.get(page(sent, "?live=1"))
    assert not [query for query in again if "taskq_" in query["sql"]]


def test_the_page_of_a_step_costs_few_queries(root):
    total = send().task_ids[-2]
    assert len(queries_of(root, f"/taskq/task/{total}/")) <= 9


def test_a_step_that_is_for_later_goes_on_by_itself(root):
    sent = send()
    stands_still(sent)
    Task.objects.create(name="shop.pay", workflow_id=sent.pk, execute_at=Now() + HOUR)
    remembered.forget()
    assert STILL not in words(root.get(OVERVIEW))
