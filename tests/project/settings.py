"""The Django project that the tests, the demo and the examples run."""

import json
import os
import sys
from pathlib import Path

import dj_database_url

BASE = Path(__file__).resolve().parent

SECRET_KEY = "for tests and demos only"
DEBUG = False
ALLOWED_HOSTS = ["*"]
USE_TZ = True
TIME_ZONE = "UTC"
ROOT_URLCONF = "tests.project.urls"
STATIC_URL = "static/"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "taskq",
    "tests.project.shop",
    "tests.project.lab",
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

DATABASES = {"default": dj_database_url.config(default=f"sqlite:///{BASE / 'db.sqlite3'}")}
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    DATABASES["default"]["OPTIONS"] = {"transaction_mode": "IMMEDIATE", "timeout": 20}
    # In a file, as other processes must see it.
    DATABASES["default"]["TEST"] = {"NAME": f"{DATABASES['default']['NAME']}.test"}

TASKQ: dict[str, object] = {}
if os.environ.get("TASKQ_TEST_BREAK_WORKERS"):
    # As code that only breaks in the fork.
    os.register_at_fork(
        after_in_child=lambda: setattr(sys.modules["taskq.worker"], "Hygiene", None)
    )
# For the tests: TASKQ_LISTEN=0 and so on, as JSON or plain text.
for _key in ("UNKNOWN_TASK_TTL", "SERIALIZER", "LISTEN", "MAX_LOSSES"):
    if (_given := os.environ.get(f"TASKQ_{_key}")) is not None:
        try:
            TASKQ[_key] = json.loads(_given)
        except ValueError:
            TASKQ[_key] = _given
