"""Celery's signals, under their names and with their arguments.

``taskq/celery/signal_bridge.py`` says when each is sent. Those of ``NEVER`` are not: what they tell
of does not exist here.
"""

from taskq.celery.celery_signal import CelerySignal

before_task_publish = CelerySignal("before_task_publish")
after_task_publish = CelerySignal("after_task_publish")
task_received = CelerySignal("task_received")
task_prerun = CelerySignal("task_prerun")
task_postrun = CelerySignal("task_postrun")
task_success = CelerySignal("task_success")
task_retry = CelerySignal("task_retry")
task_failure = CelerySignal("task_failure")
task_internal_error = CelerySignal("task_internal_error")
task_revoked = CelerySignal("task_revoked")
task_rejected = CelerySignal("task_rejected")
task_unknown = CelerySignal("task_unknown")
task_sent = CelerySignal("task_sent")
celeryd_init = CelerySignal("celeryd_init")
celeryd_after_setup = CelerySignal("celeryd_after_setup")
import_modules = CelerySignal("import_modules")
worker_init = CelerySignal("worker_init")
worker_before_create_process = CelerySignal("worker_before_create_process")
worker_process_init = CelerySignal("worker_process_init")
worker_process_shutdown = CelerySignal("worker_process_shutdown")
worker_ready = CelerySignal("worker_ready")
worker_shutdown = CelerySignal("worker_shutdown")
worker_shutting_down = CelerySignal("worker_shutting_down")
heartbeat_sent = CelerySignal("heartbeat_sent")
setup_logging = CelerySignal("setup_logging")
after_setup_logger = CelerySignal("after_setup_logger")
after_setup_task_logger = CelerySignal("after_setup_task_logger")
beat_init = CelerySignal("beat_init")
beat_embedded_init = CelerySignal("beat_embedded_init")
eventlet_pool_started = CelerySignal("eventlet_pool_started")
eventlet_pool_preshutdown = CelerySignal("eventlet_pool_preshutdown")
eventlet_pool_postshutdown = CelerySignal("eventlet_pool_postshutdown")
eventlet_pool_apply = CelerySignal("eventlet_pool_apply")
user_preload_options = CelerySignal("user_preload_options")

#: They are never sent, with what to listen to instead.
NEVER = {
    task_received: "task_prerun; a task waits in its table until a worker runs it",
    task_internal_error: "the log",
    task_rejected: "the log",
    task_unknown: "the log",
    task_sent: "after_task_publish",
    import_modules: "AppConfig.ready()",
    worker_before_create_process: "worker_init",
    worker_shutdown: "worker_process_shutdown",
    worker_shutting_down: "worker_process_shutdown, or is_stopping() in a task",
    heartbeat_sent: "manage.py taskq_status",
    beat_init: "worker_ready; pools send what is periodic",
    beat_embedded_init: "worker_ready; pools send what is periodic",
    eventlet_pool_started: "worker_process_init",
    eventlet_pool_preshutdown: "worker_process_shutdown",
    eventlet_pool_postshutdown: "worker_process_shutdown",
    eventlet_pool_apply: "task_prerun",
    user_preload_options: "a management command of yours",
}
