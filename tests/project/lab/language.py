"""The language that a task is sent in: for TASKQ["CONTEXT"]."""

from django.utils import translation


def capture():
    return translation.get_language()


def enter(language):
    return translation.override(language)
