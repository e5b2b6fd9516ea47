"""The project of the tests by django-tenants: a schema for each tenant."""

import os

from tests.project.settings import *  # noqa: F403
from tests.project.settings import DATABASES, INSTALLED_APPS, TASKQ

DATABASES["default"]["ENGINE"] = "django_tenants.postgresql_backend"
DATABASE_ROUTERS = ["django_tenants.routers.TenantSyncRouter"]
INSTALLED_APPS = ["django_tenants", *INSTALLED_APPS, "tests.project.tenancy"]
SHARED_APPS = INSTALLED_APPS
TENANT_APPS = ["stress.project.shop"]
TENANT_MODEL = "tenancy.Client"
TENANT_DOMAIN_MODEL = "tenancy.Domain"
if not os.environ.get("TASKQ_TEST_WITHOUT_CONTEXT"):
    TASKQ = {**TASKQ, "CONTEXT": {"tenant": "taskq.contrib.tenants"}}
