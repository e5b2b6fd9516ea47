"""Whether a pool lives and whether it is ready, judged by its scoreboard alone.

No question goes to the database: the keeper asks it anyway, and writes down what it heard. So an
answer comes at once, also while the database hangs.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from pool import Contact, Scoreboard, Slot, State, clock, kernel
from taskq.pool_context import KEEPER, PoolContext

#: Seconds by which the supervisor, or the keeper's answer, may be late on a busy machine.
LATE = 5.0

_SAID = {
    Contact.NONE: "the database does not answer",
    Contact.UNMIGRATED: "the database lacks tables or columns: run manage.py migrate",
}


def condition(slot: Slot) -> str:
    """What a worker does in one word: booting, idle, busy, or stopped (by SIGSTOP)."""
    return State(slot.state).name.lower() if kernel.is_running(slot.pid) else "stopped"


def workers(scoreboard: Scoreboard) -> list[Slot]:
    """The slots of the living workers."""
    return [
        slot
        for slot in scoreboard.slots[KEEPER + 1 :]
        if slot.alive and slot.state not in (State.EMPTY, State.ASIDE)
    ]


class Probes:
    """The answers to both probes."""

    def __init__(self, scoreboard: Scoreboard, context: PoolContext, supervisor: int) -> None:
        self._scoreboard = scoreboard
        self._keeper = scoreboard.slots[KEEPER]
        self._supervisor = supervisor
        self._patience = context.keeper_patience
        self._heartbeat = context.settings.heartbeat

    def live(self) -> dict[str, Any]:
        """Whether the supervisor and the keeper go round. If not, only a restart helps.

        The supervisor replaces a keeper that hangs. So a keeper that is overdue says that the
        supervisor does not do its work.
        """
        problems = self._of_supervisor() + self._of_keeper(self._patience + LATE)
        return {"ok": not problems, "problems": problems}

    def ready(self) -> dict[str, Any]:
        """Whether a worker could run a task now."""
        # The keeper asks the database at least once in a heartbeat. If it hangs, it waits.
        problems = self._of_supervisor() + self._of_keeper(self._heartbeat + LATE)
        if (contact := self._scoreboard.contact) is not Contact.GOOD:
            problems.append(_SAID[contact])
        now, found = clock.now(), workers(self._scoreboard)
        up = [slot for slot in found if not _why_not(slot, now)]
        if not up:
            causes = Counter(_why_not(slot, now) for slot in found)
            why = ", ".join(f"{count} {cause}" for cause, count in causes.items())
            problems.append(f"no worker is ready: {why or 'there is none'}")
        return {
            "ok": not problems,
            "problems": problems,
            "workers": len(found),
            "workers_ready": len(up),
        }

    def _of_supervisor(self) -> list[str]:
        silent = _seconds_since(self._scoreboard.beat)
        if not kernel.is_running(self._supervisor):
            return ["the supervisor is stopped"]
        return [f"the supervisor is silent for {silent:.0f} s"] if silent > LATE else []

    def _of_keeper(self, patience: float) -> list[str]:
        keeper, silent = self._keeper, _seconds_since(self._keeper.beat)
        if not keeper.alive:
            return ["the keeper is not there"]
        if not kernel.is_running(keeper.pid):
            return ["the keeper is stopped"]
        if keeper.state < State.IDLE:
            return ["the keeper starts"]
        return [f"the keeper is silent for {silent:.0f} s"] if silent > patience else []


def _why_not(slot: Slot, now: int) -> str:
    """Why this worker could run no task now; empty when it could."""
    if (state := condition(slot)) in ("booting", "stopped"):
        return state
    if slot.asked == slot.generation:
        return "ending"
    return "" if slot.lease_is_good(now) else "without a lease"


def _seconds_since(moment: int) -> float:
    return (clock.now() - moment) / clock.SECOND
