"""Workflows: tasks that wait for other tasks, sent together in the caller's transaction.

docs/how-to/workflows.md is for users.
"""

from taskq.workflow.builder import Workflow
from taskq.workflow.graph import Output, Outputs, Step
from taskq.workflow.sending import send_again

__all__ = ["Output", "Outputs", "Step", "Workflow", "send_again"]
