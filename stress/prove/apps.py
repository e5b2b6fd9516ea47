"""The app that takes out a protection when a process starts, before it forks."""

import os

from django.apps import AppConfig


class ProveConfig(AppConfig):
    name = "stress.prove"
    label = "stress_prove"

    def ready(self) -> None:
        if name := os.environ.get("STRESS_SABOTAGE"):
            from stress.prove.sabotage import SABOTAGES

            SABOTAGES[name]()
