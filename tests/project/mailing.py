"""A site with apps of others that import Celery: their tasks are taskq's, by ``CELERY_ALIAS``.

The mails are files in the directory ``MAILS``.
"""

import os

import dj_database_url

SECRET_KEY = "for tests only"
USE_TZ = True
DATABASES = {"default": dj_database_url.config()}
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    DATABASES["default"]["OPTIONS"] = {"transaction_mode": "IMMEDIATE", "timeout": 20}
INSTALLED_APPS = [
    "taskq",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.humanize",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.sites",
    "django.contrib.staticfiles",
    "djcelery_email",
    "helpdesk",
    "post_office",
    "rest_framework",
]
SITE_ID = 1
STATIC_URL = "static/"
ROOT_URLCONF = "stress.project.urls"
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
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
TASKQ = {"CELERY_ALIAS": True}

_FILES = "django.core.mail.backends.filebased.EmailBackend"
EMAIL_FILE_PATH = os.environ.get("MAILS")
EMAIL_BACKEND = _FILES
HELPDESK_TEAMS_MODE_ENABLED = False
POST_OFFICE = {"CELERY_ENABLED": True, "BACKENDS": {"default": _FILES}}
CELERY_EMAIL_BACKEND = _FILES
