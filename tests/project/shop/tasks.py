from taskq.celery import shared_task
import time, os

@shared_task
def noop(): pass

@shared_task
def sleep(s): time.sleep(s)

@shared_task
def die(): os._exit(7)

@shared_task
def boom(): raise ValueError("boom")

@shared_task(autoretry_for=(ValueError,), retry_kwargs={"max_retries":2,"countdown":0.2})
def flaky(): raise ValueError("flaky")
