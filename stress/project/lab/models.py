"""What chaos counts in the database: what was committed, and what atomic tasks did."""

from django.db import models


class Entry(models.Model):
    """Written in the transaction that sends a task: it is there if the task was committed."""

    key = models.CharField(max_length=64, unique=True)
    kind = models.CharField(max_length=32)


class Effect(models.Model):
    """Written by an atomic task. Not unique, so that one too many can be counted."""

    key = models.CharField(max_length=64, db_index=True)
