"""Spans of what is sent and of what runs."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("opentelemetry.sdk", reason="the SDK of OpenTelemetry is not installed")

from opentelemetry import context, trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from stress.rig.pools import wait_until
from taskq import signals
from taskq.celery import shared_task
from taskq.contrib.opentelemetry import instrument, uninstrument
from taskq.models import Task
from taskq.testing import run_all
from tests.project.lab import secrets, tasks

pytestmark = pytest.mark.django_db


class Spans:
    def __init__(self):
        self.exporter = InMemorySpanExporter()
        self.provider = TracerProvider()
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.tracer = self.provider.get_tracer("test")

    def ended(self, end=""):
        return [each for each in self.exporter.get_finished_spans() if each.name.endswith(end)]


@pytest.fixture
def spans():
    found = Spans()
    instrument(tracer_provider=found.provider)
    yield found
    uninstrument()
    assert not signals.task_enqueuing.receivers


def test_a_sent_task_is_a_producer_span_in_the_callers_trace(spans):
    with spans.tracer.start_as_current_span("request") as request:
        tasks.tell.apply_async(("a",), queue="mail")
    published, _ = spans.ended()
    assert published.name == f"{tasks.tell.name} publish"
    assert published.kind is SpanKind.PRODUCER
    assert published.parent.span_id == request.get_span_context().span_id
    assert published.attributes == {
        "messaging.system": "taskq",
        "messaging.destination.name": "mail",
        "messaging.operation.name": "publish",
        "messaging.operation.type": "send",
        "taskq.task": tasks.tell.name,
    }
    assert f"{published.context.span_id:016x}" in Task.objects.get().payload


def test_a_run_is_a_consumer_span_with_a_link_to_the_sender(spans, registered):
    @shared_task(name="inside")
    def inside(word):
        with spans.tracer.start_as_current_span("query"):
            pass

    id = inside.delay("a").id.int
    run_all()
    published, query, processed = spans.ended()
    assert (processed.name, processed.kind) == ("inside process", SpanKind.CONSUMER)
    assert processed.parent is None
    assert processed.context.trace_id != published.context.trace_id
    assert [link.context.span_id for link in processed.links] == [published.context.span_id]
    assert query.parent.span_id == processed.context.span_id
    found = processed.attributes
    assert found["messaging.message.id"] == str(id)
    assert (found["taskq.attempt"], found["taskq.outcome"]) == (1, "succeeded")
    assert processed.start_time <= query.start_time <= query.end_time <= processed.end_time
    assert processed.status.status_code is StatusCode.UNSET


def test_a_run_is_a_child_of_the_sender_where_that_is_asked(spans):
    instrument(parent=True, tracer_provider=spans.provider)
    tasks.quick.delay("a")
    run_all()
    published, processed = spans.ended()
    assert processed.parent.span_id == published.context.span_id
    assert not processed.links


def test_a_run_of_a_coroutine_is_one_too(spans, registered):
    @shared_task(name="inside")
    async def inside(word):
        with spans.tracer.start_as_current_span("query"):
            pass

    inside.delay("a")
    run_all()
    _, query, processed = spans.ended()
    assert query.parent.span_id == processed.context.span_id


def test_what_the_context_was_is_there_again_after_a_run(spans):
    tasks.quick.delay("a")
    before = context.get_current()
    run_all()
    assert context.get_current() is before


def test_a_task_without_the_header_has_no_link(spans):
    Task.objects.create(name=tasks.quick.name, payload='[["a"],{}]')
    run_all()
    (processed,) = spans.ended()
    assert not processed.links


def test_a_failed_run_has_the_error_and_its_traceback(spans):
    tasks.fail.delay("a")
    run_all(propagate=False)
    (processed,) = spans.ended("process")
    assert processed.status.status_code is StatusCode.ERROR
    assert processed.status.description == "ValueError: no good"
    (event,) = processed.events
    assert event.name == "exception"
    assert event.attributes["exception.type"] == "ValueError"
    assert event.attributes["exception.stacktrace"].endswith("ValueError: no good\n")
    assert processed.attributes["error.type"] == "ValueError"
    assert processed.attributes["taskq.outcome"] == "failed"


def test_each_run_of_a_retried_task_has_a_span_and_the_link(spans, registered):
    @shared_task(name="again", bind=True, max_retries=1)
    def again(self, word):
        if not self.request.retries:
            raise self.retry(exc=KeyError(word), countdown=0)

    again.delay("a")
    run_all()
    published, first, second = spans.ended()
    assert first.attributes["taskq.outcome"] == "retried"
    assert first.attributes["error.type"] == "KeyError"
    assert second.attributes["taskq.outcome"] == "succeeded"
    assert (second.attributes["taskq.attempt"], second.attributes["taskq.retries"]) == (2, 1)
    assert {link.context.span_id for each in (first, second) for link in each.links} == {
        published.context.span_id
    }


def test_a_retry_without_an_error_is_none(spans, registered):
    @shared_task(name="again", bind=True)
    def again(self):
        raise self.retry(countdown=60)

    again.delay()
    run_all()
    (processed,) = spans.ended("process")
    assert processed.attributes["taskq.outcome"] == "retried"
    assert processed.status.status_code is StatusCode.UNSET
    assert not processed.events


def test_sensitive_arguments_are_in_no_span(spans):
    secrets.pay.delay(7, "hunter2")
    run_all(propagate=False)
    assert "hunter2" not in "".join(span.to_json() for span in spans.ended())
    assert spans.ended("process")[0].events


def test_a_bulk_call_is_one_producer_span(spans):
    tasks.quick.delay_many([("a",), ("b",)])
    run_all()
    (published,) = spans.ended("publish")
    assert len(spans.ended("process")) == 2
    for each in spans.ended("process"):
        assert each.links[0].context.span_id == published.context.span_id


def test_a_run_without_an_outcome_ends_its_span(spans):
    from taskq.task.request import Request

    request = Request(7, "a", "default")
    signals.task_started.send(None, id=request.id, name="a", request=request)
    signals.task_lost.send(None, id="another", name="a", cause="x", losses=1, failed=False)
    assert not spans.ended()
    signals.task_lost.send(None, id=request.id, name="a", cause="cut off", losses=1, failed=False)
    assert spans.ended()[0].attributes["taskq.outcome"] == "interrupted"
    signals.task_started.send(None, id=request.id, name="a", request=request)
    signals.worker_stopped.send(None, worker="worker 1", pool="x")
    assert spans.ended()[1].attributes["taskq.outcome"] == "fenced"


def test_a_broken_header_fails_no_task(spans):
    for broken in (5, "x", [1], {"a": 1}, None):
        text = json.dumps([["a"], {}, {"traceparent": broken, "tracestate": broken}])
        Task.objects.create(name=tasks.quick.name, payload=text)
    assert len(run_all().succeeded) == 5


def test_without_a_provider_nothing_is_added(registered):
    assert isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)
    instrument()
    try:
        tasks.quick.delay("a")
        run_all()
    finally:
        uninstrument()


@pytest.mark.django_db(transaction=True)
def test_the_spans_of_a_pools_workers_arrive(start_pool, drained, runs, tmp_path):
    """By the recipe of the page: a batch processor in each worker."""
    traces, go = tmp_path / "traces", tmp_path / "go"
    pool = start_pool(*("-c", 2), TASKQ_TEST_READY="traces", TASKQ_TEST_TRACES=str(traces))
    traceparent = "00-" + "a" * 32 + "-" + "b" * 16 + "-01"
    ids = {
        tasks.nap_until.apply_async((key, str(go)), headers={"traceparent": traceparent}).id.int
        for key in range(2)
    }
    wait_until(lambda: len(runs("start")) == 2, what="each worker runs one")
    go.touch()
    tasks.fail.delay("x")
    drained()
    wait_until(lambda: Task.objects.failed().exists(), what="it has failed")
    pool.stop()
    assert "threads that run now" not in pool.log()
    found = [json.loads(line) for line in traces.read_text().splitlines()]
    napped = [span for span in found if span["name"] == f"{tasks.nap_until.name} process"]
    assert {int(span["attributes"]["messaging.message.id"]) for span in napped} == ids
    assert len(napped) == 2
    assert {span["attributes"]["taskq.worker"] for span in napped} == {"worker 1", "worker 2"}
    assert {span["links"][0]["context"]["span_id"] for span in napped} == {"0x" + "b" * 16}
    assert {span["resource"]["attributes"]["service.name"] for span in napped} == {"shop-worker"}
    (failed,) = [span for span in found if span["name"] == f"{tasks.fail.name} process"]
    assert failed["status"]["status_code"] == "ERROR"
