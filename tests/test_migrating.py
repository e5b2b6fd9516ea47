"""What the pages for those who come from another queue say is so, and they leave nothing out."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from taskq.celery import shared_task
from taskq.task import registry

PAGES = Path(__file__).resolve().parents[1] / "docs/how-to/migrating"
CELERY = (PAGES / "celery.md").read_text()

# Of Celery 5.6: the attributes of a task that a decorator may set, the arguments of apply_async,
# the options of its worker, and its settings for tasks, workers and beat.
TASK = """
name bind max_retries default_retry_delay rate_limit ignore_result trail send_events
store_errors_even_if_ignored serializer time_limit soft_time_limit backend track_started acks_late
acks_on_failure_or_timeout acks_on_failure acks_on_timeout reject_on_worker_lost throws typing base
queue routing_key exchange priority expires delivery_mode compression immediate mandatory
autoretry_for dont_autoretry_for retry_kwargs retry_backoff retry_backoff_max retry_jitter
pydantic pydantic_strict pydantic_context pydantic_dump_kwargs
before_start on_success on_retry on_failure after_return
"""
CALL = """
task_id producer link link_error shadow countdown eta expires retry retry_policy queue exchange
routing_key priority serializer compression add_to_parent publisher headers ignore_result
connection time_limit soft_time_limit reply_to root_id parent_id group_id chord stamped_headers
argsrepr kwargsrepr
delivery_mode mandatory immediate
"""
WORKER = """
--hostname --detach --statedb --loglevel --prefetch-multiplier --disable-prefetch --concurrency
--pool --task-events --time-limit --soft-time-limit --max-tasks-per-child --max-memory-per-child
--purge --discard --queues --exclude-queues --include --without-gossip --without-mingle
--without-heartbeat --heartbeat-interval --autoscale --beat --schedule-filename --scheduler
--logfile --pidfile --uid --gid --umask --executable -O
"""
SETTINGS = """
accept_content result_accept_content enable_utc timezone task_annotations task_compression
task_protocol task_serializer task_publish_retry task_publish_retry_policy task_always_eager
task_eager_propagates task_store_eager_result task_remote_tracebacks task_ignore_result
task_store_errors_even_if_ignored task_track_started task_time_limit
task_allow_error_cb_on_chord_header task_soft_time_limit task_acks_late
task_acks_on_failure_or_timeout task_acks_on_failure task_acks_on_timeout
task_reject_on_worker_lost task_default_rate_limit result_backend result_backend_always_retry
result_serializer result_compression result_extended result_expires result_cache_max
result_chord_join_timeout result_chord_retry_interval override_backends database_engine_options
result_persistent cache_backend redis_max_connections task_queues task_routes
task_queue_max_priority task_default_priority task_inherit_parent_priority worker_direct
task_create_missing_queues task_create_missing_queue_type task_default_queue
task_default_queue_type task_default_exchange task_default_exchange_type
task_default_routing_key task_default_delivery_mode broker_url broker_heartbeat
broker_connection_retry_on_startup broker_transport_options imports include
worker_deduplicate_successful_tasks worker_concurrency worker_prefetch_multiplier
worker_eta_task_limit worker_disable_prefetch worker_enable_prefetch_count_reduction
worker_lost_wait worker_max_tasks_per_child worker_max_memory_per_child
worker_disable_rate_limits worker_state_db worker_timer_precision worker_enable_remote_control
worker_proc_alive_timeout worker_cancel_long_running_tasks_on_connection_loss
worker_detect_quorum_queues worker_soft_shutdown_timeout worker_enable_soft_shutdown_on_idle
worker_send_task_events task_send_sent_event event_queue_ttl control_queue_ttl
worker_hijack_root_logger worker_log_color worker_log_format worker_task_log_format
worker_redirect_stdouts worker_redirect_stdouts_level security_key worker_pool
worker_pool_restarts worker_autoscaler worker_consumer worker_timer worker_logfile worker_pidfile
worker_uid worker_gid worker_umask worker_executable beat_schedule beat_scheduler
beat_schedule_filename beat_sync_every beat_max_loop_interval beat_cron_starting_deadline
"""


def section(title: str) -> str:
    return CELERY.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def rows(title: str) -> list[tuple[list[str], str]]:
    """The names in the first cell of each row, and what the second says."""
    found = []
    for line in section(title).splitlines():
        if line.startswith("| `"):
            names, verdict, *_ = re.split(r"(?<!\\) \| ", line.strip("| "))
            found.append((re.findall(r"`([\w.]+)`", names), verdict))
    return found


def names(title: str, verdict: str) -> list[str]:
    return [name for names, said in rows(title) if said == verdict for name in names]


@pytest.fixture
def task(monkeypatch):
    monkeypatch.setattr(registry, "_definitions", dict(registry._definitions))
    return shared_task(name="task")(_function)


def _function() -> None:
    pass


@pytest.mark.parametrize("option", names("The decorator", "ignored"))
def test_the_decorator_ignores_what_the_page_says(option, task):
    shared_task(name="other", **{option: "x"})(_function)


@pytest.mark.parametrize("option", names("The decorator", "refused"))
def test_the_decorator_refuses_what_the_page_says(option):
    with pytest.raises(TypeError, match=f"shared_task has no '{option}' here: ."):
        shared_task(name="other", **{option: "x"})


@pytest.mark.django_db
@pytest.mark.parametrize("option", names("Sending", "ignored"))
def test_a_call_ignores_what_the_page_says(option, task):
    task.apply_async(**{option: "x"})


@pytest.mark.parametrize("option", names("Sending", "refused"))
def test_a_call_refuses_what_the_page_says(option, task):
    with pytest.raises(TypeError, match=f"apply_async has no '{option}' here: ."):
        task.apply_async(**{option: "x"})


@pytest.mark.parametrize(
    ("title", "words"),
    [
        ("The decorator", TASK),
        ("Sending", CALL),
        ("The worker", WORKER),
        ("Settings", SETTINGS),
    ],
)
def test_the_page_leaves_none_of_celerys_out(title, words):
    said = " ".join(re.findall(r"`([^`]+)`", section(title) + section("Periodic tasks")))
    patterns = [each.removesuffix("*") for each in said.split() if each.endswith("*")]
    missing = [
        word
        for word in words.split()
        if not re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", said)
        and not word.startswith(tuple(filter(None, patterns)))
    ]
    assert not missing


def test_the_tables_are_not_empty():
    for verdict, least in [("ignored", 10), ("refused", 4)]:
        assert len(names("The decorator", verdict)) > least
        assert len(names("Sending", verdict)) > least
