"""The process that answers over HTTP: nothing holds it up, and its death touches no task."""

from __future__ import annotations

import os
import random
import signal
import socket
import threading
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from stress.rig.pools import wait_until
from taskq.metrics.server import MOST_CLIENTS, _Server
from tests.project.lab import tasks
from tests.taskq.metrics.scraping import AT_ONCE, base_url, families, get, value

pytestmark = pytest.mark.django_db(transaction=True)
PORT = ("--metrics-port", 0)


def address(pool):
    url = urlsplit(base_url(pool))
    return url.hostname, url.port


def test_the_figures_of_workers_are_those_of_the_pool(start_pool, runs):
    pool = start_pool("-c", 2, *PORT)
    tasks.nap.delay("a", 60)
    wait_until(lambda: runs("start", "a"))
    wait_until(lambda: value(pool, "taskq_workers", state="busy") == 1)
    assert value(pool, "taskq_workers", state="idle") == 1
    assert value(pool, "taskq_workers", state="stopped") == 0
    wait_until(lambda: value(pool, "taskq_longest_run_seconds") > 0)
    assert 0 < value(pool, "taskq_lease_seconds_left") <= 30
    assert 0 <= value(pool, "taskq_keeper_beat_age_seconds") < 15
    assert value(pool, "taskq_database_up") == 1
    memory = families(pool)["taskq_worker_resident_bytes"].samples
    assert {each.labels["worker"] for each in memory} == {"1", "2"}
    assert all(2**20 < each.value < 2**32 for each in memory)
    (build,) = families(pool)["taskq_build_info"].samples
    assert build.labels.keys() == {"version", "django"}


def test_workers_that_end_are_counted_by_cause(start_pool):
    pool = start_pool("-c", 1, *PORT)
    (worker,) = pool.children("worker").values()
    os.kill(worker, signal.SIGKILL)
    wait_until(lambda: value(pool, "taskq_worker_restarts_total", cause="signal") == 1)
    pool.signal(signal.SIGHUP)
    wait_until(lambda: value(pool, "taskq_worker_restarts_total", cause="exit_0") == 1)
    assert value(pool, "taskq_worker_restarts_total", cause="exit") == 0
    assert value(pool, "taskq_keeper_restarts_total") == 0
    os.kill(pool.children("keeper")["keeper"], signal.SIGKILL)
    wait_until(lambda: value(pool, "taskq_keeper_restarts_total") == 1)


def test_openmetrics_is_spoken_to_those_who_ask_for_it(start_pool):
    pool = start_pool("-c", 1, *PORT)
    accept = "application/openmetrics-text;version=1.0.0"
    assert get(f"{base_url(pool)}/metrics", Accept=accept)[1].endswith("# EOF\n")
    status, body = get(f"{base_url(pool)}/")
    assert status == 404
    assert "/metrics, /live, /ready" in body


def test_clients_that_hang_or_dribble_hold_up_no_other(start_pool):
    pool = start_pool("-c", 1, *PORT)
    clients = [socket.create_connection(address(pool)) for _ in range(2 * MOST_CLIENTS)]
    for client in clients:
        client.send(b"GET /metrics HTT")
    assert get(f"{base_url(pool)}/live")[0] == 200
    # The first have given way to the others.
    clients[0].settimeout(AT_ONCE)
    assert clients[0].recv(1) == b""
    for client in clients:
        client.close()


@pytest.mark.sqlite  # to run it on one is enough
def test_a_client_gets_no_more_than_its_time(start_pool):
    pool = start_pool("-c", 1, *PORT)
    with socket.create_connection(address(pool)) as client:
        client.settimeout(0.5)
        client.send(b"GET /metrics HTTP/1.0\r\nX: ")

        def hung_up():
            try:
                client.send(b"x")
                return client.recv(1) == b""
            except TimeoutError:
                return False
            except OSError:
                return True

        wait_until(hung_up, what="the connection is closed")


@pytest.mark.django_db(transaction=False)
def test_a_page_that_fails_is_logged_and_the_next_is_served(caplog):
    def fail(accept):
        raise ValueError("no figures")

    pages = {"/bad": fail, "/good": lambda accept: (HTTPStatus.OK, "text/plain", b"fine")}
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = _Server(listener, pages)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        asked: list[object] = []

        def ask(path):
            try:
                asked.append(get(url + path))
            except OSError as error:
                asked.append(error)

        for path in ("/bad", "/good"):
            client = threading.Thread(target=ask, args=(path,))
            client.start()
            while client.is_alive():
                server.handle_request()
                client.join(0.01)
    bad, good = asked
    assert isinstance(bad, OSError)
    assert good == (200, "fine")
    (record,) = [each for each in caplog.records if each.levelname == "ERROR"]
    assert "no figures" in str(record.exc_info[1])


@pytest.mark.sqlite  # to run it on one is enough
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_a_server_that_dies_or_freezes_is_replaced_alone(start_pool, runs, number):
    pool = start_pool("-c", 1, *PORT)
    wait_until(lambda: "metrics" in pool.children())
    before = pool.children()
    url = base_url(pool)
    assert get(f"{url}/live")[0] == 200
    tasks.nap.delay("a", 2)
    wait_until(lambda: runs("start", "a"))
    os.kill(before["metrics"], number)
    wait_until(lambda: pool.children("metrics").get("metrics") not in (None, before["metrics"]))
    assert get(f"{url}/live")[0] == 200
    wait_until(lambda: runs("end", "a"))
    after = pool.children()
    assert {**after, "metrics": 0} == {**before, "metrics": 0}


def test_a_port_in_use_is_an_error_of_the_start(start_pool):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        pool = start_pool("-c", 1, "--metrics-port", port, ready=False)
        assert pool.wait_exit() == 1
        (line,) = pool.log().strip().splitlines()
        assert f"cannot serve metrics on 127.0.0.1 port {port}: Address already in use" in line
        assert "--metrics-port" in line


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--metrics-port", "http", "--metrics-port is 'http': give a number"),
        ("--metrics-port", "70000", "--metrics-port is 70000: give a port from 0 to 65535"),
        ("--metrics-host", "", "--metrics-host is '': give an address"),
        ("--metrics-host", "nowhere.invalid", "cannot serve metrics on nowhere.invalid port 0"),
    ],
)
def test_a_wrong_address_is_one_clear_error(start_pool, option, value, said):
    pool = start_pool("-c", 1, *PORT, option, value, ready=False)
    assert pool.wait_exit() == 1
    (line,) = pool.log().strip().splitlines()
    assert said in line


def test_without_the_library_the_error_names_the_extra(start_pool, tmp_path):
    # A package that hides the real one, and is none.
    (tmp_path / "sitecustomize.py").write_text(
        "import importlib.util as u\n"
        "find = u.find_spec\n"
        "u.find_spec = lambda name, *rest: None if name == 'prometheus_client' "
        "else find(name, *rest)\n"
    )
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    pool = start_pool("-c", 1, *PORT, ready=False, PYTHONPATH=path)
    assert pool.wait_exit() == 1
    pool.wait_for_log("pip install 'taskq-pool[metrics]'")


def free_port():
    """A port that is free and below those that the system gives to whoever asks for any."""
    low = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    for port in random.sample(range(10_000, min(low, 32_768)), 100):
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise AssertionError("all are in use")


def test_the_port_is_free_again_when_the_pool_has_ended(start_pool):
    # None that the system gives to another process meanwhile.
    pool = start_pool("-c", 1, "--metrics-port", free_port())
    host, port = address(pool)
    get(f"{base_url(pool)}/live")
    pool.kill_all()
    again = start_pool("-c", 1, "--metrics-port", port)
    assert address(again) == (host, port)
    assert get(f"{base_url(again)}/live")[0] in (200, 503)


def test_a_burst_ends_with_a_port_as_well(start_pool, runs):
    tasks.quick.delay("a")
    pool = start_pool("-c", 1, *PORT, "--burst", ready=False)
    assert pool.wait_exit() == 0
    assert len(runs("end")) == 1


@pytest.mark.sqlite  # to run it on one is enough
def test_only_the_process_that_serves_holds_the_socket(start_pool):
    pool = start_pool("-c", 1, *PORT)
    wait_until(lambda: "metrics" in pool.children(), what="the one that serves is up")
    found = set()
    for name, pid in {**pool.children(), "supervisor": pool.pid}.items():
        links = [os.readlink(each.path) for each in os.scandir(f"/proc/{pid}/fd")]
        inode = listening_inode(address(pool)[1])
        if f"socket:[{inode}]" in links:
            found.add(name)
    assert found == {"supervisor", "metrics"}


def listening_inode(port: int) -> str:
    with open("/proc/net/tcp") as lines:
        for line in list(lines)[1:]:
            words = line.split()
            if words[1].endswith(f":{port:04X}") and words[3] == "0A":
                return words[9]
    raise AssertionError(f"nobody listens on {port}")
