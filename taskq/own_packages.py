"""The packages that are installed with taskq, and modules of the site that hide them."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import NoReturn

from django.core.checks import Error
from django.core.exceptions import ImproperlyConfigured

_HERE = Path(__file__).resolve().parents[1]


def hiding(name: str, *, known_by: str) -> Path | None:
    """The module that Python finds in place of taskq's package of this name. None when it finds
    the package.

    known_by: a file that only taskq's package has.

    Raises ImproperlyConfigured when there is no such package at all.
    """
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise ImproperlyConfigured(
            f"The package {name!r} cannot be found, which belongs at {home(name)}: install "
            "taskq-pool again."
        )
    found = Path(spec.origin).resolve()
    return None if found.parent.joinpath(known_by).is_file() else found


def home(name: str) -> Path:
    """The file of taskq's package of this name."""
    return _HERE / name / "__init__.py"


def demand_pool() -> None:
    """Stop with one clear sentence when the package ``pool`` of taskq cannot be imported.

    Raises what ``stop`` does.
    """
    found = hiding("pool", known_by="supervisor.py")
    if found is None:
        return
    stop(
        Error(
            f"The module 'pool' at {found} hides the package 'pool' that taskq runs on "
            f"({home('pool')}).",
            hint="Rename that module: nothing of taskq works while it is found first.",
            id="taskq.E005",
        )
    )


def stop(error: Error) -> NoReturn:
    """Stop with one clear sentence, at a time when no check can run yet.

    Raises ImproperlyConfigured. A command exits with code 1 and the sentence, because Django would
    print a traceback.
    """
    if Path(sys.argv[0]).name in ("manage.py", "django-admin", "__main__.py"):
        sys.exit(str(error))
    raise ImproperlyConfigured(f"{error.msg} {error.hint}")
