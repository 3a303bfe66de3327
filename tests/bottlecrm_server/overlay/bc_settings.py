"""BottleCRM's own settings for a run on loopback: PostgreSQL, no broker, no mail, tables straight from the models."""

import os

from crm.settings import *  # noqa: F403 - Django's way to build on settings

CELERY_TASK_ALWAYS_EAGER = os.environ.get("BC_BROKER", "") == ""
CELERY_BROKER_URL = os.environ.get("BC_BROKER") or "memory://"
CELERY_RESULT_BACKEND = "cache+memory://"
CELERY_BROKER_CONNECTION_TIMEOUT = 0.5
CELERY_TASK_PUBLISH_RETRY = False
MAILERS = {"default": {"BACKEND": "django.core.mail.backends.dummy.EmailBackend"}}
# 90 seconds of migrations for a database that lives for minutes; tables straight from the models take three.
MIGRATION_MODULES = {app.split(".")[-1]: None for app in INSTALLED_APPS}  # noqa: F405
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"stderr": {"class": "logging.StreamHandler"}},
    "root": {"handlers": ["stderr"], "level": "WARNING"},
}
