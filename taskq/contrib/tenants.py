"""The tenant of django-tenants: a task runs in the schema of its caller.

``TASKQ = {"CONTEXT": {"tenant": "taskq.contrib.tenants"}}``
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

from django.db import connections


def capture() -> str | None:
    """The schema of this thread's connection."""
    from django_tenants.utils import get_tenant_database_alias

    schema: str | None = getattr(connections[get_tenant_database_alias()], "schema_name", None)
    return schema


def enter(schema: str) -> AbstractContextManager[Any]:
    """Enter the tenant with this schema.

    Raises DoesNotExist when the tenant is gone. Else PostgreSQL would skip the missing schema, and
    the task would write to the shared tables.
    """
    from django_tenants import utils

    if schema == utils.get_public_schema_name():
        public: AbstractContextManager[Any] = utils.schema_context(schema)
        return public
    tenants = utils.get_tenant_model().objects
    with utils.schema_context(utils.get_public_schema_name()):
        tenant = tenants.get(schema_name=schema)
    own: AbstractContextManager[Any] = utils.tenant_context(tenant)
    return own
