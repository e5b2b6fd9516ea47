"""What an error of the database means: an outage, another's lock, or an answer."""

import sqlite3

import django.db
import psycopg
import pytest
from django.db import OperationalError, connection, transaction
from psycopg import errors

from taskq.database_errors import DATABASE_ERRORS, Meaning, meaning, passes
from taskq.store.session import StoreSession


def state(code):
    """An error as psycopg makes it of what a server sends with this SQLSTATE."""
    return errors.lookup(code)("said the server")


def wrapped(error):
    """As Django raises it."""
    outer = django.db.OperationalError(str(error))
    outer.__cause__ = error
    return outer


STATES = {
    Meaning.AWAY: (
        errors.ConnectionException,
        errors.ConnectionFailure,
        errors.AdminShutdown,
        errors.CrashShutdown,
        errors.CannotConnectNow,
        errors.IdleSessionTimeout,
        errors.IdleInTransactionSessionTimeout,
        errors.TooManyConnections,
        errors.DiskFull,
        errors.OutOfMemory,
        errors.ReadOnlySqlTransaction,
        psycopg.OperationalError,
        psycopg.InterfaceError,
    ),
    Meaning.BUSY: (
        errors.SerializationFailure,
        errors.DeadlockDetected,
        errors.LockNotAvailable,
        errors.QueryCanceled,
    ),
    Meaning.UNMIGRATED: (errors.UndefinedTable, errors.UndefinedColumn),
    Meaning.ANSWER: (
        errors.InsufficientPrivilege,
        errors.RaiseException,
        errors.NumericValueOutOfRange,
        errors.DatetimeFieldOverflow,
        errors.UntranslatableCharacter,
        errors.CheckViolation,
        errors.UniqueViolation,
        errors.SyntaxError,
        errors.InvalidSqlStatementName,
        errors.InternalError_,
        psycopg.DataError,
        psycopg.ProgrammingError,
        psycopg.NotSupportedError,
    ),
}


@pytest.mark.parametrize(
    ("means", "kind"), [(means, kind) for means, kinds in STATES.items() for kind in kinds]
)
def test_an_error_of_postgresql_says_what_it_means(means, kind):
    for error in (kind("said the server"), wrapped(kind("said the server"))):
        assert meaning(error) is means
        assert passes(error) is (means is not Meaning.ANSWER)


@pytest.mark.parametrize(
    ("means", "name"),
    [
        (Meaning.LOCKED, "SQLITE_BUSY"),
        (Meaning.LOCKED, "SQLITE_LOCKED"),
        (Meaning.LOCKED, "SQLITE_BUSY_SNAPSHOT"),
        (Meaning.AWAY, "SQLITE_FULL"),
        (Meaning.AWAY, "SQLITE_IOERR_WRITE"),
        (Meaning.AWAY, "SQLITE_CANTOPEN"),
        (Meaning.AWAY, "SQLITE_READONLY"),
        (Meaning.ANSWER, "SQLITE_CONSTRAINT_CHECK"),
        (Meaning.ANSWER, "SQLITE_CORRUPT"),
        (Meaning.ANSWER, "SQLITE_ERROR"),
    ],
)
def test_an_error_of_sqlite_says_what_it_means(means, name):
    error = sqlite3.OperationalError("said the library")
    error.sqlite_errorcode = getattr(sqlite3, name)
    assert meaning(error) is meaning(wrapped(error)) is means


def test_what_is_no_error_of_a_database_is_an_answer():
    assert not passes(ValueError("a mistake in the code"))
    assert not passes(UnicodeEncodeError("latin-1", "€", 0, 1, "ordinal not in range"))
    odd = OperationalError("its own cause")
    odd.__cause__ = odd
    assert passes(odd)


@pytest.mark.django_db(transaction=True)
@pytest.mark.postgresql
def test_what_a_trigger_does_not_find_is_no_table_of_ours():
    with connection.cursor() as cursor, transaction.atomic():
        cursor.execute(
            "CREATE FUNCTION pg_temp.odd() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN PERFORM * FROM nowhere; RETURN NEW; END $$"
        )
        cursor.execute(
            "CREATE TRIGGER odd BEFORE INSERT ON taskq_pausedqueue "
            "FOR EACH ROW EXECUTE FUNCTION pg_temp.odd()"
        )
        with pytest.raises(django.db.ProgrammingError) as error, transaction.atomic():
            cursor.execute("INSERT INTO taskq_pausedqueue (queue) VALUES ('a')")
        transaction.set_rollback(True)
    assert meaning(error.value) is Meaning.ANSWER


@pytest.mark.django_db(transaction=True)
@pytest.mark.postgresql
def test_a_session_that_was_ended_is_an_outage_at_each_of_its_statements(connect):
    ours, other = connect().connection, connect().connection
    ((pid,),) = ours.rows("SELECT pg_backend_pid()", {})
    other.rows(f"SELECT pg_terminate_backend({pid}, 5000)", {})
    for _ in range(3):
        with pytest.raises(psycopg.Error) as error:
            ours.rows("SELECT 1", {})
        assert meaning(error.value) is Meaning.AWAY


def refused(why):
    return psycopg.OperationalError(
        'connection failed: connection to server at "::1", port 5432 failed: Connection refused\n'
        f'connection to server at "127.0.0.1", port 5432 failed: {why}\n'
    )


@pytest.mark.parametrize(
    ("why", "means"),
    [
        ('FATAL:  password authentication failed for user "x"', Meaning.REJECTED),
        ('FATAL:  no pg_hba.conf entry for host "::1"', Meaning.REJECTED),
        ("FATAL:  no such database: x", Meaning.REJECTED),
        ("fe_sendauth: no password supplied", Meaning.REJECTED),
        ("FATAL:  the database system is starting up", Meaning.AWAY),
        ("FATAL:  sorry, too many clients already", Meaning.AWAY),
        ("FATAL:  remaining connection slots are reserved for superusers", Meaning.AWAY),
        ("FATAL:  server login has been failing, try again later", Meaning.AWAY),
        ("Connection refused", Meaning.AWAY),
    ],
)
def test_a_connection_that_is_not_let_in_is_not_one_to_a_server_that_is_away(why, means):
    """The driver gives no SQLSTATE: the server's words are all there is."""
    assert meaning(refused(why)) is means
    assert meaning(wrapped(refused(why))) is means
    assert passes(refused(why))


@pytest.mark.django_db(transaction=True)
@pytest.mark.postgresql
@pytest.mark.parametrize("other", [{"NAME": "nowhere"}, {"USER": "nobody"}])
def test_a_pool_that_is_not_let_in_says_so_and_goes_on_trying(caplog, other):
    session = StoreSession("worker 1", "default", 30, direct=False)
    ((key, name),) = other.items()
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(connection.settings_dict, key, name)
        with pytest.raises(DATABASE_ERRORS) as error:
            session.store()
    session.lost(error.value)
    (said,) = caplog.messages
    assert said.startswith("worker 1: cannot connect: FATAL: ")
    assert f'"{name}" does not exist: check DATABASES; trying again' in said
    session.store()
    session.answered()
    assert "the database answers again" in caplog.messages[-1]
    session.close()


@pytest.mark.django_db(transaction=True)
def test_only_a_database_that_does_not_answer_is_said_not_to(caplog):
    session = StoreSession("worker 1", "default", 30, direct=False)
    session.lost(errors.InsufficientPrivilege("not yours"))
    session.lost(errors.DeadlockDetected("met another"))
    locked = sqlite3.OperationalError("database is locked")
    locked.sqlite_errorcode = sqlite3.SQLITE_BUSY
    session.lost(locked)
    assert "does not answer" not in caplog.text
    session.lost(psycopg.OperationalError("the server is away"))
    assert "the database does not answer: the server is away" in caplog.messages[-1]
