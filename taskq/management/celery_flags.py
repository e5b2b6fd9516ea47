"""The flags of ``celery worker`` that ``taskq_pool`` takes, so that a unit file can keep them.

A flag that changes nothing here is accepted, and one line of the log names all of them. A flag
that would be missed is refused, with what to do instead, and all such at once. Flags that mean the
same here are options of ``taskq_pool`` itself.
"""

from __future__ import annotations

import argparse
import re
import socket
from collections.abc import Sequence
from typing import Any, NamedTuple

from django.core.management.base import CommandError, CommandParser

from taskq.pool_context import Bounds

#: Where the flags that were given are collected.
DEST = "celery_flags"
#: The longest label of ``-n``. A host name follows it in a column of 255 characters.
_LABEL_LENGTH = 64


class _Flag(NamedTuple):
    """A flag of Celery.

    names: as on the command line. value: the name of its value for the help; None if it takes none.
    why: why it changes nothing, or what to do instead. refused: whether it is refused.
    fine: the values with which it changes nothing, if it is refused with others.
    """

    names: tuple[str, ...]
    value: str | None
    why: str
    refused: bool = False
    fine: tuple[str, ...] = ()


_DAEMON = "let systemd or a container do it (docs/how-to/deploy-systemd.md)"
_TALK = "pools do not talk to each other"
_BATCHES = "only quick tasks are claimed in batches"
_TICKS = "every pool sends the ticks, each once"
FLAGS = (
    _Flag(("-E", "--task-events", "--events"), None, "signals and figures are always there"),
    _Flag(("--without-gossip",), None, _TALK),
    _Flag(("--without-mingle",), None, _TALK),
    _Flag(("--without-heartbeat",), None, "the heartbeat renews the leases: --heartbeat"),
    _Flag(("--heartbeat-interval",), "N", "the heartbeat renews the leases: --heartbeat"),
    _Flag(("-B", "--beat"), None, _TICKS),
    _Flag(("-s", "--schedule-filename", "--schedule"), "FILE", _TICKS),
    _Flag(("--scheduler",), "CLASS", _TICKS),
    _Flag(("-S", "--statedb"), "FILE", "the state is in the database"),
    _Flag(("--prefetch-multiplier",), "N", _BATCHES),
    _Flag(("--disable-prefetch",), None, _BATCHES),
    _Flag(
        ("-O", "--optimization"),
        "NAME",
        f"{_BATCHES}: say -O fair, or leave it out",
        True,
        ("fair", "default"),
    ),
    _Flag(
        ("-P", "--pool"),
        "NAME",
        "there are only processes: say -P prefork, or leave it out (for a debugger, -c 1)",
        True,
        ("prefork", "processes"),
    ),
    _Flag(
        ("--pool-start-method",),
        "NAME",
        "workers are forked: leave it out",
        True,
        ("fork",),
    ),
    _Flag(
        ("--purge", "--discard"),
        None,
        "tasks are rows: Task.objects.pending().discard() removes those that wait",
        True,
    ),
    _Flag(("-I", "--include"), "LIST", 'name the modules in TASKQ["IMPORTS"]', True),
    _Flag(
        ("-f", "--logfile"),
        "FILE",
        "set LOGGING, or send standard error to the file (StandardError= of systemd)",
        True,
    ),
    _Flag(("-D", "--detach"), None, _DAEMON, True),
    _Flag(("--uid",), "USER", _DAEMON, True),
    _Flag(("--gid",), "GROUP", _DAEMON, True),
    _Flag(("--umask",), "MASK", _DAEMON, True),
    _Flag(("--executable",), "FILE", _DAEMON, True),
)


class _Given(NamedTuple):
    """A flag as it was given."""

    text: str
    why: str
    refused: bool


class _Collect(argparse.Action):
    """Adds a flag that was given to those before it."""

    flag: _Flag

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        flag = self.flag
        given = str(option_string)
        if flag.value is not None:
            given += f" {values}"
        refused = flag.refused and values not in flag.fine
        before = getattr(namespace, DEST, None) or []
        setattr(namespace, DEST, [*before, _Given(given, flag.why, refused)])


def add(parser: CommandParser) -> None:
    """Add the flags to the parser of ``taskq_pool``."""
    group = parser.add_argument_group(
        "flags of Celery", "They change nothing here, or are refused with what to do instead."
    )
    for flag in FLAGS:
        action = group.add_argument(
            *flag.names,
            action=_Collect,
            dest=DEST,
            nargs=0 if flag.value is None else None,
            metavar=flag.value,
            help=flag.why.replace("%", "%%"),
        )
        assert isinstance(action, _Collect)
        action.flag = flag


def passed_over(given: Sequence[_Given] | None) -> str | None:
    """A line that names the flags that change nothing. None when there are none.

    Raises CommandError that names all refused flags, each with what to do instead.
    """
    if refused := [each for each in given or () if each.refused]:
        raise CommandError("; ".join(f"{each.text}: {each.why}" for each in refused))
    if not given:
        return None
    said = "; ".join(f"{each.text} ({each.why})" for each in given)
    return f"flags that change nothing here: {said}"


def bounds(text: str) -> Bounds:
    """The value of ``--autoscale``: the most workers, a comma, and the least.

    Raises ArgumentTypeError.
    """
    numbers = [int(part) if part.strip().isdecimal() else 0 for part in text.split(",")]
    if len(numbers) == 1:
        numbers.append(1)
    most, least, *more = numbers
    if more or least < 1 or most < least:
        raise argparse.ArgumentTypeError(
            f"{text!r}: give the most workers and the least, from 1, such as 10,3"
        )
    return Bounds(least, most)


def host(label: str) -> str:
    """The host of a pool with a label, as ``-n`` gives it: ``mail@%h`` or ``mail`` on web1 is
    mail@web1. It always ends in the real name of this host, so no two pools are called the same.

    Raises ArgumentTypeError.
    """
    real = socket.gethostname()
    name, _, domain = real.partition(".")
    values = {"%h": real, "%n": name, "%d": domain, "%%": "%"}
    before, _, _ = label.partition("@")
    text = re.sub("%.", lambda found: values.get(found[0], found[0]), before).strip()
    if not text or len(text) > _LABEL_LENGTH or not text.isprintable():
        raise argparse.ArgumentTypeError(
            f"{label!r}: give a name of 1 to {_LABEL_LENGTH} characters, such as mail@%h"
        )
    return f"{text}@{real}"
