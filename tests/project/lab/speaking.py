"""Tasks that log, by loggers of their own."""

import asyncio
import contextvars
import logging
import threading

from asgiref.sync import sync_to_async

from taskq.celery import shared_task

log = logging.getLogger("shop.lines")


@shared_task
def speak(word):
    """Says the word itself, in a thread with its context and in one without."""
    log.info("said %s\nin two lines", word, extra={"order": 7})
    for name, run in (
        ("with", contextvars.copy_context().run),
        ("without", lambda call, *args: call(*args)),
    ):
        thread = threading.Thread(target=run, args=(log.warning, "%s context", name))
        thread.start()
        thread.join()


@shared_task(queue="mail")
async def speak_async(word):
    async def inner():
        log.info("inner %s", word)

    await asyncio.gather(inner(), sync_to_async(log.info)("outer %s", word))


@shared_task
def speak_and_fail(word):
    try:
        raise KeyError(word)
    except KeyError:
        log.exception("caught")
    raise ValueError(word)


@shared_task
def speak_of_django(word):
    logging.getLogger("django.lines").info("of Django: %s", word)
