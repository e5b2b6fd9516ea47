"""What the database refuses: it is logged once, and tried again after ever longer pauses.

One thing that is refused does not stop the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from pool import clock
from pool.backoff import Backoff
from taskq import events
from taskq.database_errors import Meaning, meaning

#: Seconds until what was refused is tried again: at first, and at most.
FIRST = 0.1
LIMIT = 5.0
#: The same at most for what another transaction was in the way of: that may end at any time.
BUSY_LIMIT = 1.0
#: A time that never comes, by ``pool.clock``.
NEVER = 2**63


def concerns_all(error: BaseException) -> bool:
    """Whether the error is one of the whole database: any other statement would fail as well."""
    return meaning(error) not in (Meaning.ANSWER, Meaning.BUSY)


class Refusal:
    """The state of one thing that a process does again and again: refused or not.

    owner: the process, for log lines. what: the thing, as in "cannot renew leases".
    limit: the longest pause between two tries, in seconds.
    """

    def __init__(self, owner: str, what: str, *, limit: float = LIMIT) -> None:
        self._owner = owner
        self._what = what
        self._backoff = Backoff(first=2 * FIRST, limit=min(limit, LIMIT))
        self._since = 0
        #: When to try again; 0 while nothing was refused.
        self.due = 0

    def came(self, error: BaseException) -> float:
        """The thing was refused, or failed in another way. Seconds to wait before the next try."""
        now = clock.now()
        if not self._since:
            self._since = now
            events.refused(self._owner, self._what, error)
        pause = max(FIRST, self._backoff.next())
        if meaning(error) is Meaning.BUSY:
            pause = min(pause, BUSY_LIMIT)
        self.due = now + clock.nanoseconds(pause)
        return pause

    def over(self) -> None:
        """The thing was done."""
        if self._since:
            seconds = (clock.now() - self._since) / clock.SECOND
            events.refusal_over(self._owner, self._what, seconds)
            self._since = self.due = 0
            self._backoff.reset()


class Refusals:
    """Does several things, of which none may stop the others.

    Only an error of the whole database is raised. After any other error, and be it a mistake in
    our own code, the thing is tried again by itself.

    owner, limit: see :class:`Refusal`. afresh: called after the first refusal of a thing, to close
        a connection whose session may be the reason.
    """

    def __init__(self, owner: str, afresh: Callable[[], None], *, limit: float) -> None:
        self._owner = owner
        self._afresh = afresh
        self._limit = limit
        self._refused: dict[str, Refusal] = {}

    def do(self, what: str, act: Callable[[], object]) -> bool:
        """Do a thing, unless it was refused and is not due again. True once it is done."""
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
                if meaning(error) is not Meaning.BUSY:  # else another session is the reason
                    self._afresh()
            refusal.came(error)
            return False
        if refusal is not None:
            del self._refused[what]
            refusal.over()
        return True

    def refused(self, what: str) -> bool:
        """Whether a thing was refused, and is not done since."""
        return what in self._refused

    def due(self, what: str, otherwise: float) -> float:
        """When to do a thing next: ``otherwise``, but not before a refused thing is due again."""
        refusal = self._refused.get(what)
        return otherwise if refusal is None else max(refusal.due, otherwise)

    def keep(self, those: Iterable[str]) -> None:
        """Forget the refusals of all other things: they need not be done any more."""
        kept = set(those)
        self._refused = {what: each for what, each in self._refused.items() if what in kept}

    @property
    def next_due(self) -> int:
        """When to try again the first of the things that were refused."""
        return min((refusal.due for refusal in self._refused.values()), default=NEVER)
