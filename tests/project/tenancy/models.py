"""The tenants of a project by django-tenants."""

from django.db import models
from django_tenants.models import DomainMixin, TenantMixin


class Client(TenantMixin):
    name = models.CharField(max_length=100, default="")
    auto_create_schema = False  # the tests make them


class Domain(DomainMixin):
    pass
