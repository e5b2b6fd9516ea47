"""A TCP proxy that acts as a bad network on command: slow, cut, refusing or half-open.

It runs in a process of its own, so that a busy caller does not delay the traffic.
``python -m stress.rig.proxy HOST TARGET`` listens on a free port of HOST, prints that port,
and reads commands from its standard input, one a line. ``Proxy`` is its remote control.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import subprocess
import sys
from collections import deque

from stress.rig.closing import Closing

_CHUNK = 65536


class Proxy(Closing):
    """A proxy in front of a server.

    target: ``host:port``, or the path of a Unix socket. host: the address to listen on.

    A change is in force when its method returns.
    """

    def __init__(self, target: str, *, host: str = "127.0.0.1") -> None:
        self.host = host
        self._process = subprocess.Popen(
            [sys.executable, "-m", "stress.rig.proxy", host, target],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.port = int(self._answer())

    def forward(self, *, delay: float = 0.0) -> None:
        """Pass everything on, and what was held too. delay: seconds for each direction."""
        self._tell(f"forward {delay}")

    def hold(self) -> None:
        """Be half-open: keep all connections, accept new ones, and pass nothing on, not even
        the end of a connection. What is sent meanwhile arrives after :meth:`forward`."""
        self._tell("hold")

    def refuse(self) -> None:
        """Reset all connections, and every new one."""
        self._tell("refuse")

    def cut(self) -> None:
        """Reset all connections. New ones work as before."""
        self._tell("cut")

    def close(self) -> None:
        """End the proxy and all its connections."""
        self._process.terminate()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()

    def _tell(self, command: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(command + "\n")
        self._process.stdin.flush()
        self._answer()

    def _answer(self) -> str:
        assert self._process.stdout is not None
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError(f"the proxy ended with code {self._process.wait()}")
        return answer


class _Network:
    """The network between the clients and the server, in the proxy's process."""

    def __init__(self, target: str) -> None:
        self._target = target
        self._delay = 0.0
        self._refusing = False
        self._open = asyncio.Event()
        self._open.set()
        self._writers: set[asyncio.StreamWriter] = set()

    def obey(self, command: str) -> None:
        match command.split():
            case ["forward", delay]:
                self._delay, self._refusing = float(delay), False
                self._open.set()
            case ["hold"]:
                self._refusing = False
                self._open.clear()
            case ["refuse"]:
                self._refusing = True
                self._open.set()
                self._reset_all()
            case ["cut"]:
                self._reset_all()
            case _:
                raise ValueError(f"the command is {command!r}: forward DELAY, hold, refuse or cut")

    async def connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve a new client: carry data between it and the server."""
        ends = [writer]
        self._writers.add(writer)
        try:
            await self._open.wait()
            if self._refusing:
                raise ConnectionRefusedError
            there, here = await self._dial()
            ends.append(here)
            self._writers.add(here)
            await asyncio.gather(self._carry(reader, here), self._carry(there, writer))
            for end in ends:
                end.close()  # once what is written has gone out
        except OSError:  # one end is gone, or there is no server
            for end in ends:
                _reset(end)
        finally:
            self._writers.difference_update(ends)

    async def _dial(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._target.startswith("/"):
            return await asyncio.open_unix_connection(self._target)
        host, _, port = self._target.rpartition(":")
        return await asyncio.open_connection(host, int(port))

    async def _carry(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        """Carry one direction, in order, each piece late by the delay."""
        loop = asyncio.get_running_loop()
        on_the_way: deque[tuple[float, bytes]] = deque()
        news = asyncio.Event()

        async def deliver() -> None:
            while True:
                while not on_the_way:
                    news.clear()
                    await news.wait()
                due, piece = on_the_way.popleft()
                await asyncio.sleep(max(0.0, due - loop.time()))
                await self._open.wait()
                if not piece:
                    if sink.can_write_eof():
                        sink.write_eof()
                    return
                sink.write(piece)
                await sink.drain()

        delivery = asyncio.create_task(deliver())
        try:
            piece = b"to begin with"
            while piece:
                await self._open.wait()
                piece = await source.read(_CHUNK)
                on_the_way.append((loop.time() + self._delay, piece))
                news.set()
            await delivery
        finally:
            delivery.cancel()

    def _reset_all(self) -> None:
        while self._writers:
            _reset(self._writers.pop())


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close at once, with a reset if it is TCP."""
    peer: socket.socket = writer.get_extra_info("socket")
    if peer.family != socket.AF_UNIX:
        with contextlib.suppress(OSError):  # it is closed already
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def _serve(host: str, target: str) -> None:
    network = _Network(target)
    server = await asyncio.start_server(network.connect, host, 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    commands = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(commands), sys.stdin
    )
    # The input ends when the controlling process ends.
    while command := await commands.readline():
        network.obey(command.decode())
        print("done", flush=True)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve(sys.argv[1], sys.argv[2]))
