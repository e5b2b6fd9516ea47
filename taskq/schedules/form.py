"""The form with which people make and change a schedule, in the admin and in the dashboard."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from django import forms
from django.db import router
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from taskq.limits import NAME_LENGTH, QUEUE_LENGTH
from taskq.models import Schedule
from taskq.schedules import data
from taskq.schedules.entry import ScheduleError
from taskq.schedules.words import in_words
from taskq.task import masking, payload, registry, tagged_json
from taskq.task.payload import PICKLED
from taskq.task.timing import CATCH_UP, TEXT_LENGTH, parse
from taskq.values import MAX_PRIORITY, MIN_PRIORITY

if TYPE_CHECKING:
    Base = forms.ModelForm[Schedule]
else:
    Base = forms.ModelForm

_OWN = _("Empty: as the task says.")


def _json(label: Any, example: str) -> forms.CharField:
    return forms.CharField(
        label=label,
        required=False,
        help_text=format_lazy(_("JSON, such as {example}"), example=example),
        widget=forms.Textarea(attrs={"rows": 2, "cols": 60}),
    )


def _moment(label: Any, help_text: Any) -> forms.DateTimeField:
    widget = forms.DateTimeInput(
        format="%Y-%m-%dT%H:%M:%S", attrs={"type": "datetime-local", "step": "1"}
    )
    return forms.DateTimeField(label=label, required=False, help_text=help_text, widget=widget)


class ScheduleForm(Base):
    """The values of one schedule. :meth:`write` makes it, or changes it."""

    name = forms.CharField(label=_("name"), max_length=NAME_LENGTH)
    task = forms.ChoiceField(label=_("task"))
    schedule = forms.CharField(
        label=_("schedule"),
        max_length=TEXT_LENGTH,
        help_text=_(
            "Cron: minute, hour, day of the month, month, day of the week, such as "
            "0 3 * * mon-fri. Or: every 5 minutes. Or once: at 2026-12-31 23:59."
        ),
    )
    time_zone = forms.CharField(
        label=_("time zone"), max_length=64, initial=timezone.get_default_timezone_name
    )
    args = _json(_("positional arguments"), '[42, "a text"]')
    kwargs = _json(_("keyword arguments"), '{"customer": 42}')
    queue = forms.CharField(
        label=_("queue"), max_length=QUEUE_LENGTH, required=False, help_text=_OWN
    )
    priority = forms.IntegerField(
        label=_("priority"),
        min_value=MIN_PRIORITY,
        max_value=MAX_PRIORITY,
        required=False,
        help_text=_OWN,
    )
    catch_up = forms.ChoiceField(
        label=_("missed ticks"),
        choices=[(each, each) for each in CATCH_UP],
        help_text=_("once: one task for all that were missed; skip: none; all: one for each"),
    )
    start_at = _moment(_("start"), _("No tick comes before it."))
    end_at = _moment(_("end"), _("No tick comes after it."))
    one_off = forms.BooleanField(
        label=_("one tick only"), required=False, help_text=_("After it the schedule is paused.")
    )
    expires = forms.FloatField(
        label=_("expires after"),
        required=False,
        help_text=_("Seconds after which a task that has not started is dropped."),
    )
    enabled = forms.BooleanField(label=_("enabled"), required=False, initial=True)
    description = forms.CharField(
        label=_("description"), required=False, widget=forms.Textarea(attrs={"rows": 2, "cols": 60})
    )

    class Meta:
        model = Schedule
        fields = ("name",)

    def __init__(self, *args: Any, using: str | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.using = using or router.db_for_write(Schedule)
        row = self.instance
        names = {*registry.names(), *([row.task] if row.pk else [])}
        self.fields["task"].choices = [(name, name) for name in sorted(names)]  # type: ignore[attr-defined]
        if row.pk:
            self.fields["name"].disabled = True
            self._show(row)

    def _show(self, row: Schedule) -> None:
        for key in ("task", "schedule", "time_zone", "queue", "priority", "catch_up", "start_at"):
            self.initial[key] = getattr(row, key)
        for key in ("end_at", "one_off", "description"):
            self.initial[key] = getattr(row, key)
        self.initial["expires"] = row.expire_seconds
        self.initial["schedule"] = _as_typed(row.schedule)
        self.initial["enabled"] = not row.paused
        if self._hidden(row):
            for key in ("args", "kwargs"):
                self.fields[key].help_text = _("They are not shown. Empty: they stay.")
            return
        args, kwargs, *_headers = json.loads(row.payload)
        self.initial["args"] = json.dumps(args)
        self.initial["kwargs"] = json.dumps(kwargs)

    def _hidden(self, row: Schedule) -> bool:
        """Whether its arguments are not for everybody, or not in JSON."""
        if row.payload.startswith(PICKLED) or masking.is_sensitive(row.task):
            return True
        try:
            payload.decode_call(row.payload)
        except payload.PayloadError:
            return True
        return False

    def clean(self) -> dict[str, Any]:
        """Check all values together."""
        cleaned = super().clean() or self.cleaned_data
        self.values = {
            key: cleaned.get(key)
            for key in ("task", "schedule", "time_zone", "priority", "catch_up", "start_at")
        }
        self.values |= {key: cleaned.get(key) for key in ("end_at", "expires", "description")}
        self.values |= {key: bool(cleaned.get(key)) for key in ("one_off", "enabled")}
        self.values["queue"] = cleaned.get("queue") or None
        self._read("args", list, _("give a JSON list, such as [42]"))
        self._read("kwargs", dict, _('give a JSON object, such as {"customer": 42}'))
        if not self.errors:
            name = cleaned["name"]
            try:
                data.check(name, self.values, row=self.instance if self.instance.pk else None)
            except ScheduleError as error:
                for key, text in error.problems.items():
                    self.add_error(key if key in self.fields else None, text)
        return cleaned

    def _read(self, key: str, kind: type, mend: Promise) -> None:
        text = self.cleaned_data.get(key, "").strip()
        if not text:
            if not (self.instance.pk and self._hidden(self.instance)):
                self.values[key] = kind()
            return
        try:
            value = tagged_json.loads(text)
        except (ValueError, RecursionError) as error:
            self.add_error(key, f"{mend}: {error}")
            return
        if not isinstance(value, kind):
            self.add_error(key, str(mend))
        self.values[key] = value

    def write(self) -> Schedule:
        """Make the schedule, or change it. Raises ScheduleError if another person was quicker."""
        name = self.cleaned_data["name"]
        make: Callable[..., Schedule] = data.update if self.instance.pk else data.create
        return make(name, using=self.using, **self.values)


def _as_typed(text: str) -> str:
    """An interval as people write it: ``every 5 minutes``. Anything else as it is stored."""
    words = in_words(text)
    try:
        return words if parse(words).text == text else text
    except ValueError:
        return text


def next_ticks(row: Schedule) -> list[datetime.datetime] | str:
    """The next five ticks of a schedule, in the current time zone, or why they are not known."""
    try:
        return [timezone.localtime(tick) for tick in row.next_ticks()]
    except ValueError as error:
        return str(error)
