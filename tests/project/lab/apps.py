"""What a site may do as Django starts: TASKQ_TEST_READY names some of it."""

import logging
import logging.handlers
import os
import queue
import sys
import threading
import time

from django.apps import AppConfig


class LabConfig(AppConfig):
    name = "tests.project.lab"

    def ready(self):
        for what in os.environ.get("TASKQ_TEST_READY", "").split():
            getattr(self, what)()

    def sleeps(self):
        print("ready() sleeps", flush=True)
        time.sleep(30)

    def swallows(self):
        """As code that catches whatever there is."""
        try:
            print("ready() sleeps", flush=True)
            time.sleep(30)
        except BaseException:
            print("ready() goes on", flush=True)

    def is_patient(self):
        """Its keeper waits long for a stack: a worker may get no CPU for a while."""
        from taskq.keeper import stacks

        stacks.PATIENCE = 60.0

    def reads(self):
        from stress.project.shop.models import Order

        if sys.argv[1] == "taskq_pool":
            Order.objects.count()

    def caches(self):
        from django.core.cache import cache

        cache.set("a", 1)

    def traces(self):
        """As the page on tracing says; the spans come into a file."""
        from tests.project.lab import tracing

        tracing.begin()

    def has_thread(self):
        """One that holds a lock."""
        lock = threading.Lock()

        def hold():
            with lock:
                time.sleep(3600)

        threading.Thread(target=hold, name="lock holder", daemon=True).start()

    def logs_by_thread(self):
        """Through a queue, in each process."""
        from taskq.signals import keeper_started, worker_started

        handler = logging.handlers.QueueHandler(queue.SimpleQueue())
        for name in ("taskq", "pool"):
            logging.getLogger(name).addHandler(handler)

        def start(**kwargs):
            handler.queue = queue.SimpleQueue()
            logging.handlers.QueueListener(handler.queue, logging.StreamHandler()).start()

        start()
        for started in (worker_started, keeper_started):
            started.connect(start, weak=False)
