"""The checker: from a history and what is left in the tables to a verdict.

Everything here is a pure function of records, ``FinalState`` and ``Limits``.

A record is a dict with ``kind``, ``at`` (nanoseconds of ``pool.clock``) and ``pid``
(who wrote it), and by its kind:

intent {key, task, group?}
                        about to be sent, in a transaction that is open; task is its kind.
                        A call of a unique kind is one of a group: it may join another's task.
committing {key | keys} the transaction with these calls of unique kinds is about to commit.
commit {key | keys}     the transaction committed.
rollback {key | keys}   it was rolled back.
cancelling {key}        somebody is about to cancel it.
cancel {key, outcome, attempt?}
                        that was committed. outcome: removed, before it ran; asked, a run of
                        it to end, which was that attempt, none when it was over by then; or
                        late.
start {key, parent?, losses?, attempt?, task?, scheduled_at?}
                        a run began in this process; its parent is the supervisor; losses
                        and attempt as the task's request has them. Of a task that a schedule
                        sent: its kind, and its tick in seconds since 1970.
tick {key}              the run is still going on. Long runs may note some.
end {key}               the function is about to return.
raised {key, error}     it is about to raise.
death {victim, role, cause, since?, victims?}
                        a process died: role is worker, keeper, supervisor or pool. Written
                        after the kill, so that a kill that came too late leaves no record.
                        cause "seen": somebody watched it end, however that came. A victim
                        may also announce its own death.
                        since: nanoseconds at which it was last known to be alive (taken
                        before the kill, or when last seen by whoever watches). victims:
                        all that went with it, for a supervisor or a whole pool.
freeze {victims}        SIGSTOP has been sent to all of these.
thaw {victims}          SIGCONT is about to be sent.
fault {name, phase, target?, victims?, effect?}
                        phase is begin or end. effect "cut": meanwhile the victims cannot
                        reach the database, or lost their connections; with no victims
                        that is everyone. effect "slow": its answers are late. Whoever is
                        named in victims may die of it, or lose its lease.
failover {copied, lost}
                        an older copy of the database has taken its place, and is up: what was
                        committed from when the copy was begun until the server was lost may be
                        gone.
pool-exit {victim, code, expected}
                        a pool ended, with a code, where one of expected was right.
kill {victim}           short for a worker's death.
"""

from stress.checker.judge import judge
from stress.checker.result import VIOLATIONS, Finding, Recovery, Verdict
from stress.checker.state import FinalState, Kind, LeftOver, Limits, ResultRow, TaskRow, Ticks

__all__ = [
    "VIOLATIONS",
    "FinalState",
    "Finding",
    "Kind",
    "LeftOver",
    "Limits",
    "Recovery",
    "ResultRow",
    "TaskRow",
    "Ticks",
    "Verdict",
    "judge",
]
