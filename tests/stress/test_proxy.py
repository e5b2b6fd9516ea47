"""The proxy, on real sockets: it delays, holds, resets and refuses."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from stress.rig.proxy import Proxy


@pytest.fixture
def echo() -> Iterator[str]:
    """A server that sends back what it is sent; its address."""
    server = socket.create_server(("127.0.0.1", 0))

    def answer(client: socket.socket) -> None:
        with client, contextlib.suppress(ConnectionResetError):
            while piece := client.recv(65536):
                client.sendall(piece)

    def serve() -> None:
        while True:
            try:
                client, _ = server.accept()
            except OSError:  # closed: the test is over
                return
            threading.Thread(target=answer, args=(client,), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    yield f"127.0.0.1:{server.getsockname()[1]}"
    server.close()


@pytest.fixture
def proxy(echo: str) -> Iterator[Proxy]:
    with Proxy(echo) as started:
        yield started


def connect(proxy: Proxy) -> socket.socket:
    return socket.create_connection((proxy.host, proxy.port), timeout=60)


def ask(client: socket.socket, text: bytes) -> float:
    """Send, wait for the echo; seconds that it took."""
    began = time.monotonic()
    client.sendall(text)
    received = b""
    while len(received) < len(text):
        received += client.recv(65536)
    assert received == text
    return time.monotonic() - began


def silent(client: socket.socket, seconds: float) -> bool:
    client.settimeout(seconds)
    try:
        return client.recv(1) is None
    except TimeoutError:
        return True
    finally:
        client.settimeout(60)


def test_it_passes_on_what_it_gets_in_both_directions(proxy: Proxy) -> None:
    with connect(proxy) as client:
        ask(client, b"hello")
        ask(client, b"x" * 3_000_000)


def test_it_passes_on_the_end_and_what_was_sent_before_it(proxy: Proxy) -> None:
    with connect(proxy) as client:
        client.sendall(b"last words")
        client.shutdown(socket.SHUT_WR)
        received = b""
        while piece := client.recv(65536):
            received += piece
    assert received == b"last words"


def test_each_direction_is_delayed_and_pieces_do_not_queue_for_it(proxy: Proxy) -> None:
    with connect(proxy) as client:
        proxy.forward(delay=0.25)
        assert ask(client, b"hello") >= 0.5
        for _ in range(100):
            client.sendall(b"x")
            time.sleep(0.01)
        sent = time.monotonic()
        received = b""
        while len(received) < 100:
            received += client.recv(65536)
        assert time.monotonic() - sent < 100 * 0.25, "all pieces are on the way at once"
        proxy.forward()
        assert min(ask(client, b"hello") for _ in range(10)) < 0.5


def test_half_open_is_silence_with_nothing_closed_and_nothing_lost(proxy: Proxy) -> None:
    with connect(proxy) as client:
        ask(client, b"before")
        proxy.hold()
        client.sendall(b"meanwhile")
        assert silent(client, 0.5)
        with connect(proxy) as another:
            another.sendall(b"hello")
            assert silent(another, 0.3)
            proxy.forward()
            assert client.recv(65536) == b"meanwhile"
            assert another.recv(65536) == b"hello"


def test_cut_resets_what_is_open_and_lets_new_ones_in(proxy: Proxy) -> None:
    with connect(proxy) as client:
        ask(client, b"before")
        proxy.cut()
        with pytest.raises(ConnectionResetError):
            client.recv(1)
    with connect(proxy) as client:
        ask(client, b"after")


def test_refuse_resets_new_ones_too_until_it_forwards_again(proxy: Proxy) -> None:
    proxy.refuse()
    # The reset may come as early as the end of the connect.
    with pytest.raises(ConnectionResetError), connect(proxy) as client:
        ask(client, b"hello")
    proxy.forward()
    with connect(proxy) as client:
        ask(client, b"after")


def test_a_server_that_is_not_there_resets_the_client() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed_soon:
        target = f"127.0.0.1:{closed_soon.getsockname()[1]}"
    with Proxy(target) as proxy, pytest.raises(ConnectionResetError), connect(proxy) as client:
        ask(client, b"hello")


def test_it_reaches_a_unix_socket(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = str(tmp_path_factory.mktemp("s") / "socket")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen()
        with Proxy(path) as proxy, connect(proxy) as client:
            client.sendall(b"hello")
            accepted, _ = server.accept()
            with accepted:
                assert accepted.recv(5) == b"hello"
