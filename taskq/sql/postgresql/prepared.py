"""taskq's statements on a psycopg connection: prepared once, and run by libpq itself.

A cursor runs some hundred lines of Python for each statement. In a process that has waited, the
caches are cold, and these lines take longer than the server. Waiting for the answer is still
psycopg's: Ctrl-C cancels, and patches for green threads work.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import errors
from psycopg.abc import PQGen
from psycopg.adapt import Transformer
from psycopg.pq import DiagnosticField, ExecStatus, TransactionStatus
from psycopg.pq.abc import PGconn, PGresult

from taskq import shortcuts
from taskq.sql import Answer, Call
from taskq.sql.postgresql.kept import Kept

#: Executions of a statement after which the server keeps it parsed. Preparing it costs one round
#: trip, which a connection that sends one task and ends should not pay.
PREPARE_AFTER = 1

#: None: then nothing runs by this, see :func:`taskq.shortcuts.libpq`.
generators: Any = shortcuts.libpq()

_GOOD = (ExecStatus.TUPLES_OK, ExecStatus.COMMAND_OK)
_DIVISION_BY_ZERO, _NO_SUCH_STATEMENT = b"22012", b"26000"


#: After :class:`Undone`: restores the transaction.
UNDO = "ROLLBACK TO SAVEPOINT taskq"


class Undone(Exception):
    """Only the statement failed: after ``UNDO`` the transaction can go on."""


class _Sent:
    """The statements that were sent in a pipeline, and their results once they have been read."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.results: list[PGresult] = []


class Prepared:
    """Runs statements on one connection, in its open transaction if there is one.

    keep: whether the server may keep the statements. Not behind a pooler, which gives the session
        to others between two transactions.

    Raises what psycopg's cursors raise.
    """

    def __init__(self, connection: psycopg.Connection[Any], *, keep: bool) -> None:
        self._connection = connection
        self._pgconn = connection.pgconn
        self._keep = keep
        self._dumper = Transformer(connection)
        self._kept: dict[str, Kept] = {}
        self._numbers = itertools.count()
        self._sent: _Sent | None = None

    def rows(self, statement: str, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """Run a statement. Returns its rows."""
        with self._connection.lock:
            kept = self._known(statement)
            return kept.rows(self._result(kept, values))

    def count(self, statement: str, values: Mapping[str, Any]) -> int:
        """Run a statement. Returns how many rows it touched."""
        with self._connection.lock:
            return self._result(self._known(statement), values).command_tuples or 0

    def batch(self, *calls: Call) -> list[list[tuple[Any, ...]]]:
        """Run statements in one round trip; without an open transaction they are one transaction.
        Returns the rows of each."""
        if len(calls) == 1:
            return [self.rows(*calls[0])]
        return self.begin(*calls)()

    def begin(self, *calls: Call) -> Answer:
        """Send statements as :meth:`batch` does, without waiting.

        Returns a function that waits, and returns the rows of each statement or raises. If other
        statements run before that, nothing is lost.
        """
        with self._connection.lock:
            every = [self._known(statement) for statement, _ in calls]
            sent = self._begin([(kept, call[1]) for kept, call in zip(every, calls, strict=True)])

        def answer() -> list[list[tuple[Any, ...]]]:
            with self._connection.lock:
                results = self._ended(sent)
                return [kept.rows(each) for kept, each in zip(every, results, strict=True)]

        return answer

    def commit_with(self, statement: str, values: Mapping[str, int]) -> bool:
        """Run a statement and commit the open transaction, in one round trip. Returns whether the
        statement touched a row. If not, nothing is committed, and only a rollback can follow.

        statement: it must be usable as a CTE.

        Raises :class:`Undone` when the statement failed.
        """
        with self._connection.lock:
            kept = self._known(touching(statement))
            self._prepare(kept, at_once=True)
            if kept.name:
                places = b",".join(b"%d" % values[place] for place in kept.places)
                call = b"EXECUTE %b(%b)" % (kept.name, places)
            else:
                call = (touching(statement) % values).encode()
            # Both go in one text, of which the server runs nothing after an error. A pipeline
            # would take half as long again.
            guarded = self._may_be_refused()
            text = b"SAVEPOINT taskq; %b; RELEASE taskq; COMMIT" if guarded else b"%b; COMMIT"
            self._pgconn.send_query(text % call)
            results = self._connection.wait(generators.execute(self._pgconn))
            if any(_state(result) == _DIVISION_BY_ZERO for result in results[:2]):
                return False
            try:
                for result in results:
                    self._check(result)
            except psycopg.Error as error:
                if guarded and self._pgconn.transaction_status == TransactionStatus.INERROR:
                    raise Undone from error
                raise
            return True

    def _may_be_refused(self) -> bool:
        """Whether a change to the session, such as another role, may make a statement fail."""
        return True

    # The methods below run under the connection's lock

    def _known(self, statement: str) -> Kept:
        if self._sent is not None:  # read the answers that are on their way first
            self._take_in(self._sent)
        kept = self._kept.get(statement)
        if kept is None:
            kept = self._kept[statement] = Kept(statement, self._connection)
        return kept

    def _parameters(self, kept: Kept, values: Mapping[str, Any]) -> Any:
        # As text whose type the server finds: psycopg's type depends on how large a number is.
        return self._dumper.dump_sequence(kept.picked(values), kept.formats)

    def _result(self, kept: Kept, values: Mapping[str, Any]) -> PGresult:
        result: PGresult
        parameters = self._parameters(kept, values)
        if not kept.name:  # asked here and below to save a call that would do nothing
            self._prepare(kept)
        self._send(kept, parameters)
        result = self._answer()
        if result.status in _GOOD:
            return result
        if self._forgotten(result):
            return self._result(kept, values)
        return self._check(result)

    def _prepare(self, kept: Kept, *, at_once: bool = False) -> None:
        if kept.name or not self._keep:
            return
        if at_once or kept.times >= PREPARE_AFTER:
            name = b"taskq_%d" % next(self._numbers)
            self._pgconn.send_prepare(name, kept.text)
            self._check(self._answer())
            kept.name = name
        kept.times += 1

    def _answer(self) -> PGresult:
        """The answer, or the first error. A commit may fail after a statement that succeeded (a
        deferred constraint, a serialization failure, a full NOTIFY queue)."""
        results: list[PGresult] = self._connection.wait(generators.execute(self._pgconn))
        if len(results) == 1:
            return results[0]
        return next((each for each in results if each.status not in _GOOD), results[0])

    def _send(self, kept: Kept, parameters: Any) -> None:
        if kept.name and self._is_there(kept):
            self._pgconn.send_query_prepared(kept.name, parameters)
        else:
            self._pgconn.send_query_params(kept.text, parameters)

    def _is_there(self, kept: Kept) -> bool:
        """Whether the server certainly still has the prepared statement."""
        return True

    def _forgotten(self, result: PGresult) -> bool:
        """Whether the server has dropped the prepared statement (DISCARD ALL) and nothing else has
        changed. In a transaction that is not so: the transaction has failed. A session that does
        this once may do it again, so nothing is prepared on it any more."""
        if result.status in _GOOD or _state(result) != _NO_SUCH_STATEMENT:
            return False
        self._keep = False
        for each in self._kept.values():
            each.name = b""
        return self._pgconn.transaction_status == TransactionStatus.IDLE

    def _check(self, result: PGresult) -> PGresult:
        if result.status not in _GOOD:
            self._forgotten(result)
            raise errors.error_from_result(result, self._connection.info.encoding)
        return result

    def _begin(self, calls: list[tuple[Kept, Mapping[str, Any]]]) -> _Sent:
        parameters = [self._parameters(*call) for call in calls]
        for kept, _ in calls:
            self._prepare(kept)
        with self._or_closed():
            self._pgconn.enter_pipeline_mode()
            for (kept, _), its in zip(calls, parameters, strict=True):
                self._send(kept, its)
            # Without a sync in between, the server runs the statements as one transaction.
            self._pgconn.pipeline_sync()
        self._sent = _Sent(len(calls))
        return self._sent

    def _take_in(self, sent: _Sent) -> None:
        if sent is self._sent:
            self._sent = None
            with self._or_closed():
                sent.results = self._connection.wait(_fetched(self._pgconn, sent.count))
                self._pgconn.exit_pipeline_mode()

    def _ended(self, sent: _Sent) -> list[PGresult]:
        """The results of what was sent. Raises the first error, after which the rest is undone."""
        self._take_in(sent)
        if len(sent.results) < sent.count:
            raise psycopg.OperationalError("the connection broke before the answer came")
        return [self._check(result) for result in sent.results][: sent.count]

    @contextmanager
    def _or_closed(self) -> Iterator[None]:
        """Close the connection on an error: a broken pipeline leaves answers that nobody reads."""
        try:
            yield
        except BaseException:
            self._connection.close()
            raise


def _state(result: PGresult) -> bytes | None:
    return result.error_field(DiagnosticField.SQLSTATE)


def _fetched(pgconn: PGconn, count: int) -> PQGen[list[PGresult]]:
    """A generator for the results of a pipeline: one more if its commit fails."""
    yield from generators.send(pgconn)
    results = []
    for _ in range(count):
        results.append((yield from generators.fetch(pgconn)))
        yield from generators.fetch(pgconn)  # None, the end of its results
    for _ in range(3):  # the error, the end of its results, the sync
        result = yield from generators.fetch(pgconn)
        if result is not None and result.status == ExecStatus.PIPELINE_SYNC:
            break
        if result is not None:
            results.append(result)
    return results


@functools.cache
def touching(statement: str) -> str:
    """The statement, changed so that it fails if it touches no row."""
    return f"WITH touched AS ({statement}) SELECT 1 / count(*) FROM touched"
