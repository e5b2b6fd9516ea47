"""Tasks that raise what has ideas of its own."""

from __future__ import annotations

import os
import time

from django.db import OperationalError, connection

from stress.project.runs import run
from stress.project.shop.models import Order
from taskq.celery import TaskCancelled, shared_task
from taskq.exceptions import Retry


class Boom(Exception):
    def __str__(self) -> str:
        return "boom, it went"


class LooksUp(Exception):
    """As a wrapper of some service's answer does."""

    def __init__(self, **data: object) -> None:
        self.data = data

    def __getattr__(self, name: str) -> object:
        return self.data[name]


class NoNotes(Exception):
    @property
    def __notes__(self) -> list[str]:
        raise SystemExit("not in here")


class NoText(Exception):
    def __str__(self) -> str:
        raise KeyboardInterrupt("not in here either")

    __repr__ = __str__


class EvilText(str):
    def replace(self, *args: object) -> str:  # type: ignore[override]
        raise ValueError("do not touch")

    encode = strip = splitlines = __format__ = replace  # type: ignore[assignment]


class SubclassedText(Exception):
    def __str__(self) -> str:
        return EvilText("text of its own class")


class NoTruth(Exception):
    def __bool__(self) -> bool:
        raise ValueError("neither true nor false")


class NoClass(Exception):
    @property
    def __class__(self) -> type:  # type: ignore[override]
        raise ValueError("of no class")


class Forks(Exception):
    """The text is made in two processes."""

    def __str__(self) -> str:
        os.fork()
        return "forked"


class OddMeta(type):
    def __getattribute__(cls, name: str) -> object:
        if name in ("__module__", "__qualname__"):
            raise ValueError("no name")
        return super().__getattribute__(name)


class OddlyNamed(Exception, metaclass=OddMeta):
    pass


class HalfRetry(Retry):
    def __init__(self) -> None:
        """It leaves all to nobody."""


class Nul(Exception):
    __module__ = "odd\0module"
    __qualname__ = "Nul\0Error"


def odd_syntax_error() -> SyntaxError:
    error = SyntaxError("odd")
    error.lineno, error.offset, error.text, error.filename = object(), "x", 7, b"\xff"  # type: ignore[assignment]
    return error


def with_odd_cause() -> Exception:
    error = Boom()
    error.__cause__ = LooksUp()
    return error


MAKERS = {
    "looks up": LooksUp,
    "no notes": NoNotes,
    "no text": NoText,
    "subclassed text": SubclassedText,
    "no truth": NoTruth,
    "no class": NoClass,
    "forks": Forks,
    "oddly named": OddlyNamed,
    "half a retry": HalfRetry,
    "NUL": Nul,
    "syntax": odd_syntax_error,
    "odd cause": with_odd_cause,
    "lone surrogate": lambda: ValueError("\udc80 \x00 €☃"),
    "not all of it storable": lambda: ValueError("price is 5 €☃"),
}


@shared_task(ignore_result=False)
def fail_oddly(key, how):
    with run(key):
        raise MAKERS[how]()


@shared_task(bind=True, max_retries=1)
def retry_oddly(self, key, how):
    with run(key):
        self.retry(exc=MAKERS[how](), countdown=0)


@shared_task(ignore_result=False, autoretry_for=(Boom,), max_retries=1, default_retry_delay=0)
def fail_oddly_and_retry(key, how):
    with run(key):
        raise MAKERS[how]()


@shared_task(bind=True, max_retries=1)
def retry_with_class(self, key):
    with run(key):
        raise self.retry(exc=Boom, countdown=0)


@shared_task(bind=True, max_retries=1)
def retry_with_text(self, key):
    with run(key):
        raise self.retry(exc="text of a cause", countdown=0)


@shared_task(max_retries=1)
def raise_retry_with_class(key):
    with run(key):
        raise Retry(exc=Boom, countdown=0)


@shared_task(bind=True, max_retries=None)
def retry_for_ever(self, key):
    with run(key):
        self.retry(countdown=0.1)


def cut_connection() -> None:
    """What the database does to a session as it restarts."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")


@shared_task(bind=True, ignore_result=False)
def be_cut_off(self, key, times, path=""):
    """path: a file that the run waits for that is not cut off."""
    with run(key):
        if self.request.losses + self.request.retries < times:
            cut_connection()
        while path and not os.path.exists(path):
            time.sleep(0.01)


@shared_task
def be_cut_off_when_cancelled(key):
    with run(key):
        try:
            time.sleep(600)
        except TaskCancelled:
            cut_connection()


@shared_task(bind=True, atomic=True)
def be_cut_off_in_transaction(self, key, times):
    with run(key):
        Order.objects.create(number=1000 + self.request.losses)
        if self.request.losses < times:
            cut_connection()


@shared_task(on_lost="fail")
def be_cut_off_once(key):
    with run(key):
        cut_connection()


@shared_task(bind=True, autoretry_for=(OperationalError,), default_retry_delay=0)
def be_cut_off_and_retry(self, key):
    with run(key):
        if not self.request.retries:
            cut_connection()


@shared_task
def fail_as_if_cut_off(key, how):
    """The connection is well, and is another matter."""
    with run(key):
        Order.objects.count()
        match how:
            case "made up":
                raise OperationalError("made up by the task")
            case "a conflict":
                with connection.cursor() as cursor:
                    cursor.execute("DO $$ BEGIN RAISE SQLSTATE '40001'; END $$")
            case "a time-out":
                with connection.cursor() as cursor:
                    cursor.execute("SET statement_timeout = 10; SELECT pg_sleep(10)")
            case "a cursor":
                with connection.cursor() as cursor:
                    pass
                cursor.execute("SELECT 1")


@shared_task
def fail_because_cut_off(key, how):
    """Its own error, raised from or beside that of the connection."""
    with run(key):
        try:
            cut_connection()
        except OperationalError as error:
            if how == "from":
                raise Boom from error
            if how == "beside":
                raise Boom  # noqa: B904
        raise Boom
