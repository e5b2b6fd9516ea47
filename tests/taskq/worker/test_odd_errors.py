"""Exceptions with ideas of their own: a run that raises one fails or is retried like any other,
with whatever can be shown, and its worker goes on."""

import copy
import re
import traceback

import pytest

from taskq import error_text
from taskq.models import Task
from taskq.task.payload import decode
from tests.project.lab import oddities, tasks


@pytest.fixture
def outcomes(start_pool, runs, drained):
    """Runs tasks, and an innocent one behind each, in a pool of one worker; of each its row and
    how often it ran, by key."""

    def of(calls):
        pool = start_pool("-c", 1)
        for key, (task, *args) in calls.items():
            task.delay(key, *args)
            tasks.quick.delay(f"behind {key}")
        drained()
        assert "died" not in pool.log()
        assert "exit code" not in pool.log()
        rows = {decode(row.payload)[0][0]: row for row in Task.objects.failed()}
        for key in calls:
            assert runs("end", f"behind {key}"), key
            assert rows[key].losses == 0, key
            assert rows[key].error, key
        return {key: (rows[key], len(runs("start", key))) for key in calls}

    return of


def test_whatever_is_raised_the_run_fails_once_and_its_worker_goes_on(outcomes):
    found = outcomes({how: (oddities.fail_oddly, how) for how in oddities.MAKERS})
    for how, (row, ran) in found.items():
        assert ran == 1, how
        # It begins with the task's own function: nothing of taskq is in it.
        files = re.findall('^  (?:  [|] )?File "(.+)", line', row.traceback, re.M)
        assert set(files) == {oddities.__file__}, how
    assert "€" in found["not all of it storable"][0].error
    assert "boom, it went" in found["odd cause"][0].error


def test_whatever_is_given_to_retry_the_run_is_retried(outcomes):
    odd = ["looks up", "no notes", "no text", "no truth", "no class", "syntax", "NUL"]
    for how, (row, ran) in outcomes({how: (oddities.retry_oddly, how) for how in odd}).items():
        assert ran == 2, how
        assert row.retries == 1, how


def test_an_error_without_a_class_is_not_retried_by_anothers_name(outcomes):
    ((row, ran),) = outcomes({"a": (oddities.fail_oddly_and_retry, "no class")}).values()
    assert ran == 1
    assert "NoClass" in row.error


def test_a_cause_given_as_a_class_or_a_text_is_retried_and_then_raised(outcomes):
    found = outcomes(
        {
            "retry with class": (oddities.retry_with_class,),
            "raise with class": (oddities.raise_retry_with_class,),
            "retry with text": (oddities.retry_with_text,),
        }
    )
    assert {ran for _, ran in found.values()} == {2}
    assert {row.retries for row, _ in found.values()} == {1}
    text = found.pop("retry with text")[0].error
    assert "MaxRetriesExceededError" in text
    assert text.endswith("text of a cause")
    assert {row.error for row, _ in found.values()} == {
        "tests.project.lab.oddities.Boom: boom, it went"
    }


def test_what_can_be_shown_of_an_error_is():
    assert "LooksUp" in error_text.message(oddities.LooksUp(code=7))
    assert error_text.message(oddities.SubclassedText()).endswith("text of its own class")
    shown = error_text.message(oddities.NoText())
    assert shown.startswith("tests.project.lab.oddities.NoText: ")
    assert error_text.kind(oddities.Nul()) == "odd\\x00module.Nul\\x00Error"
    assert error_text.kind(oddities.OddlyNamed()) == "OddlyNamed"
    assert "odd" in error_text.message(oddities.odd_syntax_error())
    with pytest.raises(oddities.NoNotes) as found:
        raise oddities.NoNotes("where it was raised")
    assert "where it was raised" in error_text.traceback(found.value)
    assert __file__ in error_text.traceback(found.value)


def test_a_text_is_cut_in_the_middle():
    text = error_text.message(ValueError("x" * 10_000))
    assert len(text) < error_text.ERROR_LENGTH + 100
    assert "characters left out" in text


def as_python(error):
    return "".join(traceback.format_exception(error))


def _nested(error):
    try:
        raise KeyError("before")
    except KeyError as before:
        raise error from before


def _within(error):
    try:
        raise KeyError("before")
    except KeyError:
        raise error  # noqa: B904


def _without(error):
    try:
        raise KeyError("before")
    except KeyError:
        raise error from None


def _raised(error):
    raise error


def _recursive(error, depth=9):
    if depth:
        _recursive(error, depth - 1)
    raise error


def _with_notes(error):
    error.add_note("a note\nof two lines")
    raise error


def _unknown(error):
    print(_raize)  # noqa: F821


def _twice_at_one_place(error, depth=9):
    return (depth and _twice_at_one_place(error, depth - 1)) or _raised(error)


class _Own(LookupError):
    def __str__(self):
        return "of its own\nin two lines"


ERRORS = [
    ValueError("no \u2028 good"),
    KeyError(1),
    OSError(2, "gone"),
    RuntimeError(),
    _Own("not seen"),
    type("Main", (Exception,), {"__module__": "__main__"})("in the script"),
]


@pytest.mark.parametrize("error", ERRORS)
def test_a_message_is_the_last_line_that_python_writes(error):
    assert error_text.message(error) == "".join(traceback.format_exception_only(error)).strip()


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize(
    "how",
    [
        _twice_at_one_place,
        _raised,
        _nested,
        _within,
        _without,
        _recursive,
        _with_notes,
        _unknown,
    ],
)
def test_a_traceback_is_the_one_that_python_writes(how, error):
    for _ in range(2):  # the second time its places are known
        with pytest.raises(Exception) as caught:  # noqa: PT011  it is one of many
            how(copy.copy(error))
        assert error_text.traceback(caught.value) == as_python(caught.value)


def test_a_group_of_errors_has_the_tracebacks_of_all():
    with pytest.raises(ExceptionGroup) as caught:
        raise ExceptionGroup("both", [ValueError("a"), KeyError("b")])
    assert error_text.traceback(caught.value) == as_python(caught.value)


def test_the_places_that_are_kept_are_not_ever_more(monkeypatch):
    monkeypatch.setattr(error_text, "_MOST_PLACES", 3)
    for number in range(9):
        scope = {}
        exec(f"def fail(): raise ValueError({number})", scope)
        with pytest.raises(ValueError, match=str(number)) as caught:
            scope["fail"]()
        assert f"ValueError: {number}" in error_text.traceback(caught.value)
    assert len(error_text._PLACES) <= 3
