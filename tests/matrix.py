"""``python -m tests.matrix``: the tests on each Python, Django and database we support, and
Django's own where it has some.

Each cell has an environment of its own in .matrix/, kept for the next time.
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


def environment(python: str, version: str, django: str) -> str:
    """The Python of the cell's environment, made or brought up to date."""
    home = ROOT / ".matrix" / f"python{version}-django{django}"
    subprocess.run([python, "-m", "venv", home], check=True)
    pip = [home / "bin/python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "--editable", f"{ROOT}[dev]", f"Django~={django}.0"], check=True)
    return str(home / "bin/python")


def main() -> int:
    failed = []
    for version, django, databases in CELLS:
        python = interpreter(version)
        if python is None:
            failed.append(f"Python {version}: not installed")
            continue
        cell = environment(python, version, django)
        for database in databases:
            name = f"Python {version}, Django {django}, {database}"
            print(f"\n=== {name}", flush=True)
            chosen = {**os.environ, "TASKQ_TEST_DB": database}
            for tests in (["pytest", "-m", ""], ["tests.conformance"]):
                if subprocess.run([cell, "-m", *tests], cwd=ROOT, env=chosen).returncode:
                    failed.append(f"{name}: {tests[0]}")
    print("\nfailed: " + "; ".join(failed) if failed else "\nall cells passed")
    return len(failed)


if __name__ == "__main__":
    sys.exit(main())
