"""The package that is released: what the sdist and the wheel hold, and that the wheel works."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from taskq import __version__

ROOT = Path(__file__).resolve().parents[1]
#: Of the packages: what runs only from a clone.
CLONE_ONLY = ("stress/bench/", "stress/explore/", "stress/model/", "stress/prove/")
#: Python's own leftovers, and what is made in a clone.
NOT_SOURCE = shutil.ignore_patterns(
    ".*", "__pycache__", "*.sqlite3*", "*.egg-info", "build", "dist", "bench-results"
)


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    """The directory with the sdist, and with the wheel that was built from that sdist."""
    # In a copy: a build leaves files behind, and takes up those that an earlier one has left.
    source = tmp_path_factory.mktemp("package") / "source"
    shutil.copytree(ROOT, source, ignore=NOT_SOURCE)
    run(sys.executable, "-m", "build", "--no-isolation", cwd=source)
    return source / "dist"


@dataclass(frozen=True)
class Site:
    """A directory where a Python has the wheel, and the clone nowhere."""

    python: Path
    home: Path

    def run(self, *words: str, code: int = 0) -> str:
        """Run ``python WORDS…`` in the directory, which is found first, as by ``manage.py``."""
        # What the wheel depends on is taken from here; .pth files there, which lead to the clone,
        # are not read.
        path = [str(self.home), *site_packages(self.python), *site_packages(Path(sys.executable))]
        return run(self.python, *words, cwd=self.home, code=code, PYTHONPATH=os.pathsep.join(path))


@pytest.fixture(scope="module")
def installed(built, tmp_path_factory) -> Path:
    """The Python of an environment with the wheel, without what that depends on."""
    home = tmp_path_factory.mktemp("installed")
    venv.create(home, symlinks=True)
    python = home / "bin/python"
    (target,) = site_packages(python)
    wheel = next(built.glob("*.whl"))
    pip = [sys.executable, "-m", "pip", "install", "--no-deps", "--no-index", "--quiet"]
    run(*pip, "--target", target, wheel)
    return python


@pytest.fixture
def site(installed, tmp_path) -> Site:
    (tmp_path / "site_settings.py").write_text(
        "SECRET_KEY = 'x'\n"
        "INSTALLED_APPS = ['django.contrib.staticfiles', 'taskq']\n"
        "STATIC_URL = 'static/'\n"
        "DATABASES = {'default': {'ENGINE': 'django.db.backends.sqlite3', 'NAME': 'db.sqlite3',\n"
        "    'OPTIONS': {'transaction_mode': 'IMMEDIATE'}}}\n"
    )
    return Site(installed, tmp_path)


def run(*command: object, cwd: Path = ROOT, code: int = 0, **environment: str) -> str:
    """Run it; what it printed, errors too."""
    answer = subprocess.run(
        list(map(str, command)),
        cwd=cwd,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "site_settings", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
    )
    assert answer.returncode == code, answer.stdout
    return answer.stdout


def site_packages(python: Path) -> list[str]:
    """Where the environment of this interpreter has its packages."""
    return list(map(str, python.parents[1].glob("lib/python3*/site-packages")))


def sources(*folders: str) -> set[str]:
    """The files of these folders of the clone, as paths below its root."""
    paths = (path for folder in folders for path in (ROOT / folder).rglob("*"))
    return {
        str(path.relative_to(ROOT))
        for path in paths
        if path.is_file() and path.suffix != ".pyc" and ".sqlite3" not in path.name
    }


def test_the_wheel_holds_what_a_site_needs_and_nothing_else(built):
    wheel = next(built.glob(f"taskq_pool-{__version__}-py3-none-any.whl"))
    held = set(zipfile.ZipFile(wheel).namelist())
    code = {name for name in held if ".dist-info/" not in name}
    wanted = sources("taskq", "pool", "stress")
    assert code == {name for name in wanted if not name.startswith(CLONE_ONLY)}
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in held)


def test_the_sdist_holds_the_code_its_tests_and_its_pages(built):
    with tarfile.open(next(built.glob("*.tar.gz"))) as sdist:
        held = {name.partition("/")[2] for name in sdist.getnames()}
    pages = {"README.md", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "Makefile"}
    wanted = sources("taskq", "pool", "stress", "tests", "docs") | pages | {"pyproject.toml"}
    assert wanted <= held


def test_a_site_with_the_wheel_is_checked_and_finds_the_files_of_the_admin(site):
    assert "no issues" in site.run("-m", "django", "check")
    found = site.run("-m", "django", "findstatic", "taskq/admin.css")
    assert str(site.python.parents[1]) in found


def test_stress_of_the_wheel_names_the_faults_of_chaos(site):
    assert "worker-kill" in site.run("-m", "stress", "list")


def test_command_that_needs_a_clone_says_so_in_the_wheel(site):
    answer = site.run("-m", "stress", "bench", "--list", code=2)
    assert "does not have stress.bench: run this command from a clone" in answer
    assert "Traceback" not in answer


def test_command_that_lacks_a_dependency_names_the_extra(site):
    rich = site.home / "rich.py"
    rich.write_text("raise ModuleNotFoundError('not installed', name='rich')")
    answer = site.run("-m", "stress", "monkey", "--pool", "1", code=2)
    assert "stress.monkey needs rich: pip install 'taskq-pool[stress]'" in answer
    assert "Traceback" not in answer
