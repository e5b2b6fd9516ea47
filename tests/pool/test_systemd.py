"""What the pool tells systemd, over real sockets."""

import errno
import itertools
import logging
import os
import signal
import socket
import statistics
import time

import pytest

from pool.supervisor import REST
from pool.systemd import Systemd
from stress.rig.pools import GENEROUS
from tests.conftest import SLACK, wait_until


class Service:
    """The socket of a service, as systemd opens it."""

    def __init__(self, address):
        self.channel = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.channel.bind(address.replace("@", "\0", 1) if address[0] == "@" else address)
        self.channel.settimeout(GENEROUS)
        self.address = address

    def heard(self):
        return self.channel.recv(4096).decode()

    def heard_all(self):
        self.channel.setblocking(False)
        messages = []
        while True:
            try:
                messages.append(self.heard())
            except BlockingIOError:
                return messages


@pytest.fixture(params=["path", "abstract"])
def service(request, tmp_path, monkeypatch):
    # A Unix socket's path has little room.
    names = {"path": f"/tmp/taskq-{os.getpid()}.sock", "abstract": f"@taskq-{os.getpid()}@x"}
    service = Service(names[request.param])
    monkeypatch.setenv("NOTIFY_SOCKET", service.address)
    yield service
    service.channel.close()
    if request.param == "path":
        os.unlink(service.address)


def test_lines_are_sent_as_one_message(service):
    Systemd().notify("READY=1", "STATUS=up")
    assert service.heard() == "READY=1\nSTATUS=up"


def test_who_does_not_read_hangs_nobody(service, caplog):
    systemd = Systemd()
    began = time.monotonic()
    for _ in range(1000):
        systemd.notify("WATCHDOG=1")
    assert time.monotonic() - began < SLACK
    assert "cannot reach systemd: [Errno 11]" in caplog.text
    assert service.heard() == "WATCHDOG=1"


@pytest.mark.parametrize("address", ["/nowhere/at/all", "@taskq-nobody", "/" + 200 * "x"])
def test_socket_that_is_not_there_is_said(monkeypatch, caplog, address):
    monkeypatch.setenv("NOTIFY_SOCKET", address)
    Systemd().notify("READY=1")
    assert "cannot reach systemd" in caplog.text


def test_lack_of_descriptors_is_said(service, monkeypatch, caplog):
    def refuse(*_):
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(socket, "socket", refuse)
    Systemd().notify("READY=1")
    assert "cannot reach systemd: [Errno 24] Too many open files" in caplog.text


@pytest.mark.parametrize("address", [None, ""])
def test_outside_systemd_nothing_is_sent(monkeypatch, caplog, address):
    if address is None:
        monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    else:
        monkeypatch.setenv("NOTIFY_SOCKET", address)
    monkeypatch.setattr(socket, "socket", None)  # would be an error
    caplog.set_level(logging.DEBUG)
    Systemd().notify("READY=1")
    assert not caplog.records


@pytest.mark.parametrize(
    ("microseconds", "pid", "interval"),
    [
        ("2000000", None, 1.0),
        ("2000000", "ours", 1.0),
        ("2000000", "1", 0.0),  # meant for another process, which passed it on
        (None, None, 0.0),
        ("", None, 0.0),
        ("soon", None, 0.0),
    ],
)
def test_watchdog_is_fed_twice_in_its_time(monkeypatch, microseconds, pid, interval):
    for name, value in (("WATCHDOG_USEC", microseconds), ("WATCHDOG_PID", pid)):
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, str(os.getpid()) if value == "ours" else value)
    assert Systemd().watchdog_interval == interval


def test_pool_says_ready_when_a_worker_is_up_then_that_it_lives_and_stops(start, service):
    pool = start(
        "keeper=notes_deaths", "worker=crashes", up=False,
        environment={"NOTIFY_SOCKET": service.address, "WATCHDOG_USEC": "400000"},
    )  # fmt: skip
    pool.wait_note("crashing", count=3)
    # Alive it is all the same.
    assert set(service.heard_all()) <= {"WATCHDOG=1"}
    pool.tell("heal")
    service.channel.settimeout(GENEROUS)
    wait_until(lambda: service.heard() == "READY=1")
    pool.wait_up("worker 1")
    assert [service.heard() for _ in range(3)] == ["WATCHDOG=1"] * 3
    assert pool.stop() == 0
    assert set(service.heard_all()) - {"WATCHDOG=1"} == {"STOPPING=1"}


@pytest.mark.parametrize("service", ["abstract"], indirect=True)
def test_a_pool_at_rest_feeds_its_watchdog_in_time(start, service):
    start(
        "worker=has_a_lease*2",
        environment={"NOTIFY_SOCKET": service.address, "WATCHDOG_USEC": "400000"},
    )
    wait_until(lambda: service.heard() == "READY=1")
    times = []
    for _ in range(20):
        assert service.heard() == "WATCHDOG=1"
        times.append(time.monotonic())
    # Each in 0.2 s. One that came only with the looks of a pool at rest would be a REST late.
    gaps = [after - before for before, after in itertools.pairwise(times)]
    assert statistics.median(gaps) < REST / 2


@pytest.mark.parametrize("service", ["abstract"], indirect=True)
def test_pool_lives_on_when_systemd_reads_nothing(start, service):
    systemd = Systemd()
    for _ in range(1000):  # more than any kernel is told to keep
        systemd.notify("WATCHDOG=1")
    pool = start(
        "keeper=notes_deaths", "worker=waits",
        environment={"NOTIFY_SOCKET": service.address, "WATCHDOG_USEC": "100"},
    )  # fmt: skip
    pool.wait_log("cannot reach systemd")
    first = pool.wait_up("worker 1")
    os.kill(first, signal.SIGKILL)
    pool.wait_up("worker 1", other_than=first)
    assert pool.stop() == 0
