"""The files that the pages on deploying offer: right by their own checkers, and by our settings."""

from __future__ import annotations

import configparser
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import kubernetes_validate
import pytest
import yaml
from compose_spec import PyCompose

from pool.supervisor import CLOSING_TIME
from stress.rig.pools import wait_until
from taskq import conf
from taskq.management.commands.taskq_pool import Command
from taskq.pool_context import PoolContext
from taskq.task.queues import Queues
from tests.docs.pages import DOCS, ROOT, block
from tests.taskq.metrics.scraping import base_url, get

FILES = DOCS / "how-to/files"
UNIT, DOCKERFILE = FILES / "taskq.service", FILES / "Dockerfile"
COMPOSE, MANIFEST = FILES / "compose.yaml", FILES / "kubernetes.yaml"


@pytest.mark.parametrize(
    ("page", "language", "has", "file"),
    [
        ("deploy-systemd", "ini", "[Unit]", UNIT),
        ("deploy-docker", "dockerfile", "", DOCKERFILE),
        ("deploy-docker", "yaml", "", COMPOSE),
        ("deploy-kubernetes", "yaml", "kind: Job", MANIFEST),
    ],
    ids=lambda value: value.name if isinstance(value, Path) else "",
)
def test_a_page_shows_the_file_that_it_offers(page, language, has, file):
    assert block(f"how-to/{page}.md", language, has) == file.read_text()


def unit() -> configparser.SectionProxy:
    parser = configparser.ConfigParser()
    parser.optionxform = str
    parser.read(UNIT)
    return parser["Service"]


def resources() -> dict[str, dict]:
    return {each["kind"]: each for each in yaml.safe_load_all(MANIFEST.read_text())}


def pod() -> dict:
    return resources()["Deployment"]["spec"]["template"]["spec"]


def compose() -> dict:
    return yaml.safe_load(COMPOSE.read_text())


def commands() -> dict[str, list[str]]:
    """What each file starts, from manage.py on."""
    (cmd,) = re.findall(r"^CMD (.*)$", DOCKERFILE.read_text(), re.MULTILINE)
    (container,) = pod()["containers"]
    return {
        "systemd": shlex.split(unit()["ExecStart"])[1:],
        "docker": yaml.safe_load(cmd)[1:],
        "kubernetes": container["args"][1:],
    }


@pytest.mark.parametrize("name", ["systemd", "docker", "kubernetes"])
def test_what_is_started_is_a_pool_with_options_that_there_are(name):
    manage, command, *options = commands()[name]
    assert (manage, command) == ("manage.py", "taskq_pool")
    given = vars(Command().create_parser("manage.py", "taskq_pool").parse_args(options))
    assert int(given["concurrency"]) > 0


def test_each_waits_for_longer_than_a_pool_takes_to_drain_and_to_close():
    needed = conf.settings().drain_timeout + CLOSING_TIME
    assert int(unit()["TimeoutStopSec"]) > needed
    assert int(compose()["services"]["pool"]["stop_grace_period"].removesuffix("s")) > needed
    assert pod()["terminationGracePeriodSeconds"] > needed


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not installed")
def test_systemd_takes_the_unit_as_it_is(tmp_path):
    # It looks whether the program is there.
    python = tmp_path / "env/bin/python"
    python.parent.mkdir(parents=True)
    python.symlink_to(sys.executable)
    copy = tmp_path / "taskq.service"
    copy.write_text(UNIT.read_text().replace("/srv/mysite", str(tmp_path)))
    answer = subprocess.run(
        ["systemd-analyze", "verify", copy], capture_output=True, text=True, timeout=60
    )
    of_ours = [line for line in answer.stderr.splitlines() if copy.name in line]
    assert (answer.returncode, of_ours) == (0, [])


def test_the_unit_speaks_to_the_supervisor_and_kills_what_is_left():
    service = unit()
    assert (service["Type"], service["NotifyAccess"]) == ("notify", "main")
    assert service["KillMode"] == "mixed"
    assert service["User"] != "root"


def test_a_linter_has_nothing_to_say_of_the_dockerfile():
    linter = Path(sys.executable).parent / "hadolint"
    answer = subprocess.run(
        [linter, "--no-color", DOCKERFILE], capture_output=True, text=True, timeout=60
    )
    assert (answer.returncode, answer.stdout) == (0, "")


def test_the_pool_is_process_1_of_its_container_and_not_root():
    text = DOCKERFILE.read_text()
    (cmd,) = re.findall(r"^CMD (.*)$", text, re.MULTILINE)
    assert isinstance(yaml.safe_load(cmd), list)  # a text would be given to a shell
    (user,) = re.findall(r"^USER (.*)$", text, re.MULTILINE)
    assert f"--uid {user} " in text
    assert pod()["securityContext"] == {"runAsNonRoot": True, "runAsUser": int(user)}


def test_the_compose_file_is_one():
    # The class knows no variables.
    text = re.sub(r"\$\{.*?\}", "secret", COMPOSE.read_text())
    PyCompose.from_yaml(text).validate()
    services = compose()["services"]
    assert services["pool"]["environment"] == services["migrate"]["environment"]
    settings = block("how-to/deploy-docker.md", "python")
    read = set(re.findall(r'os\.environ\["(\w+)"\]', settings))
    assert read == set(services["pool"]["environment"])


def test_the_manifest_is_one():
    for resource in resources().values():
        kubernetes_validate.validate(resource, kubernetes_validate.latest_version(), strict=True)


def test_the_parts_of_the_manifest_find_each_other():
    by_kind = resources()
    labels = by_kind["Deployment"]["spec"]["template"]["metadata"]["labels"]
    assert by_kind["Deployment"]["spec"]["selector"]["matchLabels"] == labels
    assert by_kind["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"] == labels
    (container,), job = pod()["containers"], by_kind["Job"]["spec"]["template"]["spec"]
    assert job["containers"][0]["image"] == container["image"]
    (port,) = container["ports"]
    assert f"--metrics-port={port['containerPort']}" in container["args"]
    assert "--metrics-host=0.0.0.0" in container["args"]
    for kind in ("startup", "liveness", "readiness"):
        assert container[f"{kind}Probe"]["httpGet"]["port"] == port["name"]


def test_the_workers_of_a_pod_are_replaced_before_they_fill_it():
    (container,) = pod()["containers"]
    options = dict(each.removeprefix("--").split("=") for each in container["args"][3:])
    gigabytes = int(container["resources"]["limits"]["memory"].removesuffix("Gi"))
    workers, most = int(options["concurrency"]), int(options["max-memory-per-child"])
    assert workers * most < 0.75 * gigabytes * 1024**2


def test_the_probes_ask_what_a_pool_answers(start_pool):
    pool = start_pool("-c", "1", "--metrics-port", "0")
    (container,) = pod()["containers"]
    for kind in ("startup", "liveness", "readiness"):
        url = base_url(pool) + container[f"{kind}Probe"]["httpGet"]["path"]
        wait_until(lambda url=url: get(url)[0] == 200, what=url)


def test_the_kubelet_is_more_patient_than_the_supervisor():
    (container,) = pod()["containers"]
    probe = container["livenessProbe"]
    patience = PoolContext(settings=conf.settings(), queues=Queues(), alias="default")
    assert probe["periodSeconds"] * (probe["failureThreshold"] - 1) > 2 * patience.keeper_patience


def has_docker() -> bool:
    docker = shutil.which("docker")
    return bool(docker) and subprocess.run([docker, "info"], capture_output=True).returncode == 0


@pytest.mark.slow
def test_the_image_is_built_and_its_pool_starts(tmp_path):
    if not has_docker():
        pytest.skip("no Docker daemon answers here: the image is linted, and not built")

    def run(*words: str | Path) -> str:
        return subprocess.run(
            words, cwd=tmp_path, check=True, capture_output=True, text=True, timeout=900
        ).stdout

    run(sys.executable, "-m", "django", "startproject", "mysite", ".")
    with (tmp_path / "mysite/settings.py").open("a") as settings:
        settings.write("INSTALLED_APPS += ['taskq']\n")
        settings.write("DATABASES['default']['NAME'] = '/tmp/db.sqlite3'\n")
        settings.write("DATABASES['default']['OPTIONS'] = {'transaction_mode': 'IMMEDIATE'}\n")
    pip = (sys.executable, "-m", "pip", "wheel", "--no-deps", "--wheel-dir", "wheels")
    run(*pip, ROOT)
    requirements = block("how-to/deploy-docker.md", "text", "psycopg")
    (tmp_path / "requirements.txt").write_text(requirements)
    shutil.copy(DOCKERFILE, tmp_path)
    run("docker", "build", "--tag", "taskq-docs-test", ".")
    script = "python manage.py migrate --verbosity 0 && exec python manage.py taskq_pool --burst"
    run("docker", "run", "--rm", "taskq-docs-test", "sh", "-c", script)
