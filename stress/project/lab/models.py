"""What chaos counts in the database: committed tasks, and the effects of atomic tasks."""

from django.db import models


class Entry(models.Model):
    """Written by the transaction that sends a task. It exists if the task was committed."""

    key = models.CharField(max_length=64, unique=True)
    kind = models.CharField(max_length=32)


class Effect(models.Model):
    """Written by an atomic task. Not unique, so that a second one can be counted."""

    key = models.CharField(max_length=64, db_index=True)
