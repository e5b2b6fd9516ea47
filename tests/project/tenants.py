"""The project of the tests by the backend of django-tenants: a schema for each tenant."""

from tests.project.settings import *  # noqa: F403
from tests.project.settings import DATABASES

DATABASES["default"]["ENGINE"] = "django_tenants.postgresql_backend"
