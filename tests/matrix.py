"""``python -m tests.matrix``: the tests on each Python, Django and database we support, and
Django's own where it has some.

Each cell has an environment of its own in .matrix/, kept for the next time. One more cell has the
newest pre-releases of what we lean on: it is allowed to fail, and the last line says so. The
newest cell runs the tests of what has shortcuts (``taskq.shortcuts``) once more without them.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

#: Python, Django, databases.
CELLS = [
    ("3.11", "5.2", ["postgresql", "sqlite"]),
    ("3.12", "6.0", ["postgresql-oldest", "sqlite"]),
    ("3.13", "6.1", ["postgresql", "sqlite"]),
]
#: The Python and the database of the cell with pre-releases, and of what it has some.
PRE_RELEASES = ("3.13", "postgresql", ["Django", "psycopg[binary,pool]"])

#: As `make tests` does: more processes than cores, and a file in one process.
JOBS = 2 * (os.cpu_count() or 1)
PYTEST = ["pytest", "-m", "", "-n", str(JOBS), "--dist", "loadfile", "--no-loadscope-reorder"]
#: What runs once more with all shortcuts off.
SHORTCUTS = ["tests/taskq/sql", "tests/taskq/outbox", "tests/taskq/test_shortcuts.py"]


def interpreter(version: str) -> str | None:
    """A Python of this version: on the path, or one that pyenv has."""
    if found := shutil.which(f"python{version}"):
        # A shim of pyenv is found also when the version is not the active one.
        answer = subprocess.run([found, "--version"], capture_output=True, text=True)
        if answer.stdout.startswith(f"Python {version}."):
            return found
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    installed = sorted(root.glob(f"versions/{version}.*/bin/python"))
    return str(installed[-1]) if installed else None


def environment(python: str, name: str, *installed: str) -> str:
    """The Python of the cell's environment, made or brought up to date.

    installed: what pip is told besides our own package.
    """
    home = ROOT / ".matrix" / name
    subprocess.run([python, "-m", "venv", home], check=True)
    pip = [home / "bin/python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "--editable", f"{ROOT}[dev]", *installed], check=True)
    return str(home / "bin/python")


def failures(cell: str, name: str, database: str) -> list[str]:
    """Run the tests in this environment; those programs of them that failed."""
    print(f"\n=== {name}, {database}", flush=True)
    chosen = {**os.environ, "TASKQ_TEST_DB": database}
    return [
        f"{name}, {database}: {tests[0]}"
        for tests in (PYTEST, ["tests.conformance"])
        if subprocess.run([cell, "-m", *tests], cwd=ROOT, env=chosen).returncode
    ]


def without_shortcuts(cell: str) -> list[str]:
    """Run the tests of what has shortcuts without them; what failed."""
    print("\n=== no shortcuts", flush=True)
    chosen = {**os.environ, "TASKQ_TEST_DB": "postgresql", "TASKQ_SHORTCUTS": "off"}
    failed = subprocess.run([cell, "-m", *PYTEST, *SHORTCUTS], cwd=ROOT, env=chosen).returncode
    return ["no shortcuts"] if failed else []


def supported() -> list[str]:
    """Run each cell of the matrix; what failed."""
    failed = []
    for version, django, databases in CELLS:
        python = interpreter(version)
        if python is None:
            failed.append(f"Python {version}: not installed")
            continue
        cell = environment(python, f"python{version}-django{django}", f"Django~={django}.0")
        for database in databases:
            failed += failures(cell, f"Python {version}, Django {django}", database)
        if (version, django, databases) == CELLS[-1]:
            failed += without_shortcuts(cell)
    return failed


def pre_releases() -> list[str]:
    """Run the cell with the newest pre-releases; what failed."""
    version, database, packages = PRE_RELEASES
    python = interpreter(version)
    if python is None:
        return [f"Python {version}: not installed"]
    cell = environment(python, "pre-releases")
    update = [cell, "-m", "pip", "install", "--quiet", "--pre", "--upgrade", *packages]
    if subprocess.run(update).returncode:
        return [f"no pre-release of {' and '.join(packages)} can be installed"]
    print()
    subprocess.run([cell, "-m", "pip", "list", "--disable-pip-version-check"], check=True)
    return failures(cell, "pre-releases", database)


def main() -> int:
    failed = supported()
    allowed = pre_releases()
    print("\nfailed: " + "; ".join(failed) if failed else "\nall cells passed")
    print(f"pre-releases, which may fail: {'; '.join(allowed) or 'passed'}")
    return len(failed)


if __name__ == "__main__":
    sys.exit(main())
