"""The checker: from a history and what is left in the tables to a verdict.

Everything here is a pure function of records, ``FinalState`` and ``Limits``.

A record is a dict with ``kind``, ``at`` (nanoseconds of ``pool.clock``) and ``pid`` (of the
process that wrote it). By its kind it also has:

intent {key, task, group?, places?}
                        about to be sent, in a transaction that is open; task is its kind.
                        A call of a unique kind is one of a group: it may join another's task.
                        A step of a workflow has places: what it waits for. Each is a dict of on
                        (the end of a part: done, failed or ended), parts (their keys; one of them
                        is enough) and value (whether the step gets what the part returns).
committing {key | keys} the transaction with these calls of unique kinds is about to commit.
commit {key | keys}     the transaction committed.
rollback {key | keys}   it was rolled back.
cancelling {key}        a process is about to cancel it.
cancel {key, outcome, attempt?}
                        the cancel was committed. outcome: "removed", before it ran; "asked",
                        a run was asked to end; "late", it was done. attempt: of that run, None
                        if the run was over by then.
start {key, parent?, losses?, attempt?, task?, scheduled_at?, got?}
                        a run began in this process; its parent is the supervisor; losses
                        and attempt as the task's request has them. Of a task that a schedule
                        sent: its kind, and its tick in seconds since 1970. got: the inputs of
                        a step, in order of its places with a value.
growing {key, tasks, last, places}
                        the run of a step is about to be replaced by others: their kinds by key.
                        The last of them takes its place, and has these places.
tick {key}              the run is still going on. Long runs may note some.
end {key}               the function is about to return.
raised {key, error}     it is about to raise.
death {victim, role, cause, since?, victims?}
                        a process died: role is worker, keeper, supervisor or pool. Written
                        after the kill, so that a kill that came too late leaves no record.
                        cause "seen": a watcher saw it end, for whatever reason. A victim
                        may also announce its own death.
                        since: nanoseconds at which it was last known to be alive (taken
                        before the kill, or when the watcher last saw it). victims: all
                        processes that died with it, for a supervisor or a whole pool.
freeze {victims}        SIGSTOP has been sent to all of these.
thaw {victims}          SIGCONT is about to be sent.
fault {name, phase, target?, victims?, effect?}
                        phase is begin or end. effect "cut": meanwhile the victims cannot
                        reach the database, or lost their connections; with no victims
                        that is every process. effect "slow": its answers are late. A process
                        in victims may die of it, or lose its lease.
failover {copied, lost}
                        an older copy of the database has taken its place, and is up. What was
                        committed since the copy was begun, until the server was lost, may be
                        gone.
scrape {victim, last, counts}
                        the pool of this supervisor had counted so many runs by how they ended.
                        last: all tasks had run, and no worker was busy.
pool-exit {victim, code, expected}
                        a pool ended with this code. One of expected is right.
kill {victim}           short for a worker's death.
"""

from stress.checker.judge import judge
from stress.checker.result import VIOLATIONS, Finding, Recovery, Verdict
from stress.checker.state import (
    FinalState,
    FinishedRow,
    Kind,
    LeftOver,
    Limits,
    ResultRow,
    TaskRow,
    Ticks,
)

__all__ = [
    "VIOLATIONS",
    "FinalState",
    "Finding",
    "FinishedRow",
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
