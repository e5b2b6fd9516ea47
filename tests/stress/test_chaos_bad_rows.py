"""Rows that chaos types by hand, and what becomes of them at the end of a run."""

import pytest
from django.db.models.functions import Now

from stress.chaos.bad_rows import COLUMNS, make_unknown_for_long
from taskq.models import Task

pytestmark = pytest.mark.django_db


def test_a_task_of_an_unknown_name_need_not_wait_at_the_end_of_a_run():
    _, columns = COLUMNS["unknown task"]
    unknown = Task.objects.create(name=columns["name"], unknown_since=Now())
    known = Task.objects.create(name="known", unknown_since=Now())
    make_unknown_for_long()
    unknown.refresh_from_db()
    known.refresh_from_db()
    assert unknown.unknown_since.year == 2001
    assert known.unknown_since.year > 2001
