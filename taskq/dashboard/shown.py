"""Numbers and times as the pages write them."""

from __future__ import annotations

import datetime
import math

from django.utils import timezone
from django.utils.formats import number_format
from django.utils.translation import gettext as _

#: Shown where there is nothing to show.
NOTHING = "-"


def number(value: float) -> str:
    """A number with separators of thousands: 12,345."""
    if value != value or math.isinf(value):
        return NOTHING
    decimals = 0 if value == int(value) or value >= 100 else (1 if value >= 1 else 2)
    return number_format(round(value, decimals), decimals, use_l10n=True, force_grouping=True)


def span(seconds: float | None) -> str:
    """A time as people read it: 4.2 ms, 0.40 s, 12 s, 3:05, 2:03:05, 3 days."""
    if seconds is None or seconds != seconds:
        return NOTHING
    if math.isinf(seconds):
        return "∞"
    seconds = max(seconds, 0.0)
    if seconds < 0.0995:
        return _("%(number)s ms") % {"number": number_format(1000 * seconds, 1, use_l10n=True)}
    if seconds < 60:
        decimals = 2 if seconds < 0.995 else (1 if seconds < 9.95 else 0)
        return _("%(number)s s") % {"number": number_format(seconds, decimals, use_l10n=True)}
    whole = round(seconds)
    if whole >= 2 * 86400:
        return _("%(number)s days") % {"number": number(whole // 86400)}
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def share(part: float, whole: float) -> str:
    """A part in percent: 0 %, 0.4 %, 12 %."""
    if not whole:
        return NOTHING
    percent = 100 * part / whole
    small = 0 < percent < 10
    return _("%(number)s %%") % {"number": number_format(percent, int(small), use_l10n=True)}


def moment(at: datetime.datetime | None) -> str:
    """A time in the current time zone: of today the time alone, else with its day."""
    if at is None:
        return NOTHING
    local = timezone.localtime(at)
    if local.date() == timezone.localdate():
        return f"{local:%H:%M:%S}"
    return f"{local:%Y-%m-%d %H:%M:%S}"
