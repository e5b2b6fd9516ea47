"""Results, in the place where Celery has them."""

from taskq.celery.async_result import AsyncResult
from taskq.celery.eager import EagerResult
from taskq.celery.joining import allow_join_result
from taskq.celery.result_set import GroupResult, ResultSet, result_from_tuple
from taskq.celery.result_tree import ResultBase

__all__ = [
    "AsyncResult",
    "EagerResult",
    "GroupResult",
    "ResultBase",
    "ResultSet",
    "allow_join_result",
    "result_from_tuple",
]
