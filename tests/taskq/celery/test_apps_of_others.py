"""Apps from the package index that import Celery send and run through a pool, by the alias."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid

import pytest
from django.db import connection

pytest.importorskip("djcelery_email", reason="apps that import Celery are not installed")

#: Each of the apps sends in a transaction, and once more in one that is rolled back.
SEND = """
from django.core import mail
from django.db import transaction
from helpdesk.models import Queue
from helpdesk.tasks import helpdesk_process_email
from post_office import mail as post_office

Queue.objects.create(
    title="Support", slug="support", email_address="support@example.com",
    allow_email_submission=True, email_box_type="local", email_box_local_dir={box!r},
)

def send(subject):
    post_office.send("to@example.com", "from@example.com", subject=f"{{subject}} post office")
    with mail.get_connection("djcelery_email.backends.CeleryEmailBackend") as connection:
        mail.EmailMessage(
            f"{{subject}} celery email", "text", "from@example.com", ["to@example.com"],
            connection=connection,
        ).send()
    helpdesk_process_email.delay()

with transaction.atomic():
    send("kept")
with transaction.atomic():
    send("rolled back")
    transaction.set_rollback(True)
"""
TICKETS = (
    "from helpdesk.models import Ticket; print([ticket.title for ticket in Ticket.objects.all()])"
)
LETTER = """\
From: ada@example.com
To: support@example.com
Subject: My printer is on fire
Message-ID: <1@example.com>

Help.
"""


@pytest.fixture
def own_url(database_url, tmp_path):
    """The URL of an empty database."""
    if connection.vendor == "sqlite":
        yield f"sqlite:///{tmp_path / 'mailing.sqlite3'}"
        return
    name = f"mailing_{uuid.uuid4().hex[:8]}"
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name}")
    base, _, query = database_url.partition("?")
    yield f"{base.rpartition('/')[0]}/{name}" + (f"?{query}" if query else "")
    with connection.cursor() as cursor:
        cursor.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def manage(own_url, tmp_path):
    """Runs commands of the site; what they printed."""
    (tmp_path / "mails").mkdir()
    environment = {
        **os.environ,
        "DATABASE_URL": own_url,
        "DJANGO_SETTINGS_MODULE": "tests.project.mailing",
        "MAILS": str(tmp_path / "mails"),
    }

    def run(*words: str) -> str:
        answer = subprocess.run(
            [sys.executable, "-m", "django", *words],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
        )
        assert answer.returncode == 0, answer.stdout
        return answer.stdout

    return run


def test_three_apps_send_and_run_through_a_pool(manage, tmp_path):
    box = tmp_path / "box"
    box.mkdir()
    (box / "letter").write_text(LETTER)
    manage("migrate", "-v0")
    manage("shell", "-v0", "-c", SEND.format(box=str(box)))
    assert not list((tmp_path / "mails").iterdir()), "the pool sends, not the caller"
    log = manage("taskq_pool", "--burst", "-c", "2")
    for name in (
        "djcelery_email_send_multiple",
        "helpdesk.tasks.helpdesk_process_email",
        "post_office.tasks.send_queued_mail",
    ):
        assert f"{name} #" in log, "it ran"
    texts = [path.read_text() for path in (tmp_path / "mails").iterdir()]
    subjects = [line for text in texts for line in text.splitlines() if line.startswith("Subject")]
    assert sorted(subjects) == ["Subject: kept celery email", "Subject: kept post office"]
    assert "['My printer is on fire']" in manage("shell", "-v0", "-c", TICKETS)
