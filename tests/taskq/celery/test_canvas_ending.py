"""A task that ends its chain, or drops what else would follow it: ``self.request.chain = None``."""

from __future__ import annotations

import pytest

from taskq.celery import chain, chord, group, shared_task
from taskq.models import Edge, SentWorkflow, Task
from taskq.testing import run_all
from tests.taskq.celery.canvas_tasks import add, left, note, ran, told_id, total

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("registered")]


@pytest.fixture(autouse=True)
def nothing_ran():
    ran.clear()


@pytest.fixture(params=[False, True], ids=["plain", "atomic"])
def ends(request):
    """A task that sets fields of its request to a value, and then does what is asked of it."""

    @shared_task(name="ends", bind=True, ignore_result=False, atomic=request.param, max_retries=1)
    def ends(self, value, *fields, then="returns", to=None):
        if then == "retries" and self.request.retries:
            return value
        for field in fields:
            setattr(self.request, field, to)
        if then == "fails":
            raise KeyError("no")
        if then == "retries":
            self.retry(countdown=0)
        return value

    return ends


def names():
    return [name for name, *_ in ran]


def nothing_is_left():
    return not (Task.objects.exists() or Edge.objects.exists()) and all(
        flow.finished_at for flow in SentWorkflow.objects.all()
    )


def test_what_comes_behind_in_the_chain_does_not_run(ends):
    result = chain(add.s(1, 2), ends.s("chain"), add.s(1), note.s()).delay()
    run_all()
    assert ran == [("add", 1, 2)]
    assert result.parent.parent.get(0) == 3
    assert nothing_is_left()


@pytest.mark.parametrize(
    "behind",
    [
        group(note.s(), add.s(1)),
        group(note.si(), add.si(1)) | total.s(),
        chord([add.s(1)], total.s()),
        chord([], note.s()),
        note.si() | note.si(),
    ],
    ids=repr,
)
def test_it_is_so_whatever_comes_behind(ends, behind):
    (ends.si(3, "chain") | behind).delay()
    run_all()
    assert ran == []
    assert nothing_is_left()


def test_callbacks_go_on_as_they_are_no_part_of_the_chain(ends):
    (ends.s(3, "chain").set(link=add.s(5)) | note.s()).delay()
    run_all()
    assert ran == [("add", 3, 5)]
    assert nothing_is_left()


def test_callbacks_can_be_dropped_while_the_chain_goes_on(ends):
    (ends.s(3, "callbacks").set(link=add.s(5)) | note.s()).delay()
    run_all()
    assert names() == ["note"]
    ends.apply_async((3, "callbacks", "errbacks"), link=add.s(5), link_error=told_id.s())
    run_all()
    assert names() == ["note"]
    assert nothing_is_left()


def test_the_body_of_a_chord_runs_as_it_is_no_part_of_the_chain(ends):
    result = chord([ends.si(1, "chain"), add.s(1, 1)], total.s()).delay()
    run_all()
    assert result.get(0) == 3


def test_a_chain_that_has_ended_in_a_header_drops_the_body(ends):
    chord([ends.si(1, "chain") | add.s(1), add.s(2, 2)], total.s() | note.s()).delay()
    run_all()
    assert ran == [("add", 2, 2)]
    assert nothing_is_left()


def test_a_part_may_drop_the_body(ends):
    chord([ends.si(1, "chord"), add.s(2, 2)], total.s()).delay()
    run_all()
    assert ran == [("add", 2, 2)]
    assert nothing_is_left()


def test_a_body_is_the_first_of_a_chain_too(ends):
    (chord([add.s(1, 1)], ends.s("chain")) | note.s()).delay()
    run_all()
    assert names() == ["add"]
    assert nothing_is_left()


def test_a_run_that_is_retried_decides_anew(ends):
    (ends.si(1, "chain", then="retries") | note.s()).delay()
    run_all(forward=5)
    assert ran == [("note", (1,), {})]


def test_a_run_that_fails_leaves_the_chain_to_a_retry(ends):
    (ends.si(1, "chain", then="fails") | note.s()).delay()
    run_all(propagate=False)
    assert left() == [("ends", "FAILED"), ("note", "BLOCKED")]


@pytest.mark.parametrize(("fields", "told"), [((), 1), (("errbacks",), 0)])
def test_errbacks_can_be_dropped(ends, fields, told):
    ends.apply_async((1, *fields), {"then": "fails"}, link_error=told_id.s())
    run_all(propagate=False)
    assert len(ran) == told
    assert left() == [("ends", "FAILED")]


def test_errbacks_are_dropped_from_a_run_that_has_shown_how_far_it_is():
    @shared_task(bind=True)
    def shows(self):
        self.set_progress(1, 2)
        self.request.errbacks = None
        raise KeyError("no")

    shows.apply_async(link_error=told_id.s())
    run_all(propagate=False)
    assert (ran, left()) == ([], [("shows", "FAILED")])


@pytest.mark.parametrize("field", ["chain", "callbacks", "errbacks", "chord"])
def test_nothing_can_be_put_in_its_place(ends, field):
    (ends.si(1, field, to=[{"task": "x"}]) | note.s()).delay()
    with pytest.raises(AttributeError, match=rf"request\.{field} of ends .*return self\.replace"):
        run_all()


def test_the_fields_are_empty_and_a_task_by_itself_may_set_them(ends):
    result = ends.delay(4, "chain", "callbacks", "errbacks", "chord", to=[])
    run_all()
    assert result.get(0) == 4

    @shared_task(bind=True)
    def reads(self):
        note(self.request.chain, self.request.callbacks, self.request.errbacks, self.request.chord)

    (reads.si() | note.si()).delay()
    run_all()
    assert ran[0] == ("note", (None,) * 4, {})


def test_a_run_that_has_dropped_what_follows_cannot_be_replaced():
    @shared_task(bind=True)
    def replaced(self):
        self.request.chain = None
        return self.replace(add.s(1, 1))

    (replaced.si() | note.s()).delay()
    with pytest.raises(RuntimeError, match=r"replaced has dropped what follows .*by delay\(\)"):
        run_all()


def test_in_eager_mode_the_same_holds(ends, settings):
    settings.CELERY_TASK_ALWAYS_EAGER = True
    result = (add.s(1, 2) | ends.s("chain").set(link=add.s(5)) | note.s()).delay()
    assert (result.get(), ran) == (3, [("add", 1, 2), ("add", 3, 5)])
    ran.clear()
    (ends.s(1, "callbacks").set(link=add.s(5)) | note.s()).apply_async(link=note.s("linked"))
    (note.s() | ends.si(1, "callbacks")).apply_async(link=note.s("not this"))
    assert names() == ["note", "note", "note"]
    ran.clear()
    ends.apply_async((1, "errbacks"), {"then": "fails"}, link_error=told_id.s())
    assert ran == []
