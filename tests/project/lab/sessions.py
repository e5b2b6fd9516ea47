"""Tasks that look at their session of the database, or change it."""

from asgiref.sync import sync_to_async
from django.db import connection, connections, transaction
from django.utils.module_loading import import_string

from stress.project.runs import note, run
from stress.project.shop.models import Order
from taskq.celery import shared_task


@shared_task(ignore_result=False, atomic=True)
def show_statement():
    """What the server was sent for the first statement of the transaction."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_query()")
        return cursor.fetchone()[0]


@shared_task
def ask_server(key, seconds):
    """A statement that takes long, and a lock that it holds."""
    with run(key), transaction.atomic():
        list(Order.objects.select_for_update())
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_sleep(%s)", [seconds])


@shared_task
def ask_database(key, alias="default"):
    """Which of the server's processes answers."""
    with connections[alias].cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        note("asked", key=key, backend=cursor.fetchone()[0])


@shared_task
async def ask_database_async(key):
    note("asked", key=key, backend=await sync_to_async(_backend)())


def _backend():
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return cursor.fetchone()[0]


@shared_task(atomic=True, ignore_result=False)
def commit_and_call(key):
    """What it has called on its commit fails."""
    note("start", key=key)
    Order.objects.create(number=1)
    transaction.on_commit(lambda: 1 / 0)
    return "committed"


@shared_task(atomic=True)
def order_and_execute(number, statement):
    """An order, and a statement that may change what this session is."""
    Order.objects.create(number=number)
    with connection.cursor() as cursor:
        cursor.execute(statement)


@shared_task(ignore_result=False)
def execute(*statements):
    """Run them on Django's connection; the rows of the last."""
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
        return [list(row) for row in cursor.fetchall()] if cursor.description else []


@shared_task(ignore_result=False)
def set_in_driver(name, value):
    """What the driver's connection is like, changed behind Django's back; value: may be the path of
    a function."""
    connection.ensure_connection()
    setattr(connection.connection, name, import_string(value) if isinstance(value, str) else value)


@shared_task(ignore_result=False)
def look_at_driver(*names):
    connection.ensure_connection()
    return [str(getattr(connection.connection, name)) for name in names]


@shared_task
def lead_elsewhere(name):
    """As sites do that have a database for each tenant."""
    connection.close()
    connection.settings_dict["NAME"] = name


@shared_task
def leave_wrapper():
    """Each statement after it fails."""
    Order.objects.exists()
    connection.execute_wrappers.append(lambda *args: 1 / 0)
