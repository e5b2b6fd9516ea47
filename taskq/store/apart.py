"""What the database refuses: said once, tried again ever later, and no reason to stop the rest."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from pool import clock
from pool.backoff import Backoff
from taskq import events
from taskq.database_errors import Meaning, meaning

#: Seconds until what was refused is tried again: at first, and at most.
FIRST = 0.1
LIMIT = 5.0
#: A time that never comes, by ``pool.clock``.
NEVER = 2**63


def concerns_all(error: BaseException) -> bool:
    """Whether the whole database is concerned, so that no other statement would do better."""
    return meaning(error) not in (Meaning.ANSWER, Meaning.BUSY)


class Refusal:
    """One thing that a process does again and again, as far as it is refused.

    owner: the process, for log lines. what: the thing, as in "cannot renew leases".
    limit: seconds between two tries at most.
    """

    def __init__(self, owner: str, what: str, *, limit: float = LIMIT) -> None:
        self._owner = owner
        self._what = what
        self._backoff = Backoff(first=2 * FIRST, limit=min(limit, LIMIT))
        self._since = 0
        #: When to try again; 0 while nothing was refused.
        self.due = 0

    def came(self, error: BaseException) -> float:
        """It was refused, or failed in whatever way; seconds to wait before the next try."""
        now = clock.now()
        if not self._since:
            self._since = now
            events.refused(self._owner, self._what, error)
        pause = max(FIRST, self._backoff.next())
        self.due = now + clock.nanoseconds(pause)
        return pause

    def over(self) -> None:
        """It was done."""
        if self._since:
            seconds = (clock.now() - self._since) / clock.SECOND
            events.refusal_over(self._owner, self._what, seconds)
            self._since = self.due = 0
            self._backoff.reset()


class Duty(NamedTuple):
    """What a keeper does again and again.

    what: as in "cannot renew leases". do: looks by itself whether there is anything to do.
    due: when it is to be done next, NEVER where something else wakes the keeper for it.
    """

    what: str
    do: Callable[[], object]
    due: Callable[[], float]


class Apart:
    """Does things that must not stop one another.

    Only an error that concerns all is raised. What else fails, and be it for a mistake of our
    own, is tried again by itself.

    owner, limit: see :class:`Refusal`. afresh: called after a first refusal, to close a
        connection whose session may be at fault.
    """

    def __init__(self, owner: str, afresh: Callable[[], None], *, limit: float) -> None:
        self._owner = owner
        self._afresh = afresh
        self._limit = limit
        self._refused: dict[str, Refusal] = {}

    def do(self, what: str, act: Callable[[], object]) -> bool:
        """Do a thing, unless it was refused and is not due again; whether it is done."""
        refusal = self._refused.get(what)
        if refusal is not None and clock.now() < refusal.due:
            return False
        try:
            act()
        except Exception as error:
            if concerns_all(error):
                raise
            if refusal is None:
                refusal = self._refused[what] = Refusal(self._owner, what, limit=self._limit)
                self._afresh()
            refusal.came(error)
            return False
        if refusal is not None:
            del self._refused[what]
            refusal.over()
        return True

    def due(self, what: str, otherwise: float) -> float:
        """When to do a thing next; ``otherwise`` while it is not refused."""
        refusal = self._refused.get(what)
        return otherwise if refusal is None else max(refusal.due, otherwise)

    def keep(self, those: Iterable[str]) -> None:
        """Forget the rest: they are not to be done any more."""
        kept = set(those)
        self._refused = {what: each for what, each in self._refused.items() if what in kept}

    @property
    def next_due(self) -> int:
        """When to try the first of those again that were refused."""
        return min((refusal.due for refusal in self._refused.values()), default=NEVER)
