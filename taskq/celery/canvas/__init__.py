"""The canvas: signatures of tasks, and workflows that are made of them.

A signature is a dict, so it can be stored and sent. ``planning`` makes a graph of it, and
``sending`` sends that graph as rows, in the caller's transaction.
"""

from taskq.celery.canvas.chains import chain
from taskq.celery.canvas.maps import chunks, xmap, xstarmap
from taskq.celery.canvas.parallel import chord, group
from taskq.celery.canvas.signatures import Signature, maybe_signature, signature

subtask, maybe_subtask = signature, maybe_signature

__all__ = [
    "Signature",
    "chain",
    "chord",
    "chunks",
    "group",
    "maybe_signature",
    "maybe_subtask",
    "signature",
    "subtask",
    "xmap",
    "xstarmap",
]
