"""The tutorial on a first queue, done as it says, on the SQLite that it names."""

from __future__ import annotations

import re

import pytest

from tests.docs.newcomer import Commands, Newcomer
from tests.docs.pages import block

PAGE = "tutorial/first-queue.md"

pytestmark = pytest.mark.sqlite


@pytest.fixture
def newcomer(tmp_path):
    found = Newcomer(tmp_path)
    yield found
    found.leave()


def test_a_newcomer_comes_from_nothing_to_tasks_that_are_retried_and_kept(newcomer):
    commands = Commands(PAGE)
    for given in ("python -m venv", ". env", "git clone", "pip install"):
        commands.next(given)  # the tests have an environment

    # 2. to 4. A project, and a task that waits.
    newcomer.run(commands.next("django-admin startproject"))
    newcomer.go_to(commands.next("cd ").removeprefix("cd "))
    newcomer.run(commands.next("python manage.py startapp"))
    newcomer.save("mysite/settings.py", block(PAGE, "python", "INSTALLED_APPS"))
    newcomer.run(commands.next("python manage.py migrate"))
    newcomer.save("shop/tasks.py", block(PAGE, "python", "def greet"))
    newcomer.run(commands.next("python manage.py shell"))
    status = newcomer.run(commands.next("python manage.py taskq_status"), code=3)
    assert without_seconds(status) == without_seconds(block(PAGE, "text", "0 workers"))
    assert "Hello, world!" in newcomer.run(commands.next("python manage.py taskq_pool --burst"))

    # 5. and 6. A pool; a transaction that is rolled back sends nothing.
    pool = newcomer.start(commands.next("python manage.py taskq_pool"))
    newcomer.run(commands.next("python manage.py taskq_run"))
    pool.wait_for("Hello, Ada!")
    newcomer.save("order.py", block(PAGE, "python", "rolled back"))
    assert "rolled back" in newcomer.run(commands.next("python manage.py shell < order.py"))
    pool.wait_for("Hello, customer!")
    assert "nobody" not in pool.text()

    # 7. Retries.
    newcomer.save("shop/tasks.py", block(PAGE, "python", "def ask_for_weather"))
    pool.press_ctrl_c()
    pool = newcomer.start(commands.next("python manage.py taskq_pool"))
    newcomer.run(commands.next("python manage.py taskq_run"))
    for line in block(PAGE, "text", "will be retried").splitlines():
        pattern = re.escape(line.removeprefix("INFO ")).replace(r"\#4", r"\#\d+")
        pool.wait_for(pattern)

    # 8. A result.
    newcomer.save("shop/tasks.py", block(PAGE, "python", "def add"))
    pool.press_ctrl_c()
    pool = newcomer.start(commands.next("python manage.py taskq_pool"))
    said = newcomer.run(commands.next("python manage.py taskq_run"))
    assert said.splitlines()[-1] == "42"

    # 9. The admin: the command would ask for what stands in the environment here.
    newcomer.environment |= {
        "DJANGO_SUPERUSER_USERNAME": "ada",
        "DJANGO_SUPERUSER_EMAIL": "ada@example.com",
        "DJANGO_SUPERUSER_PASSWORD": "secret",
    }
    newcomer.run(commands.next("python manage.py createsuperuser") + " --noinput")
    server = newcomer.start(commands.next("python manage.py runserver") + " 127.0.0.1:0")
    server.wait_for("Starting development server")
    assert commands.is_done()


def without_seconds(status: str) -> list[str]:
    return re.sub(r" +\d+\.\d s$", "", status, flags=re.MULTILINE).splitlines()
