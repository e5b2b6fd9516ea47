"""Which queues a pool serves: names, and prefixes that end in a star."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from taskq.values import check_queue

#: How ``-Q`` takes all queues.
EVERY_QUEUE = "*"
#: Begins a queue that is left out, in :attr:`Queues.written`. No name begins with a star.
_BUT = "*-"


@dataclass(frozen=True)
class Queues:
    """What ``-Q`` chose. Empty means all.

    but: what ``-X`` left out of these.
    """

    names: tuple[str, ...] = ()
    prefixes: tuple[str, ...] = ()
    but: Queues | None = None

    @classmethod
    def parse(cls, text: str | None) -> Queues:
        """Read a comma-separated list. ``mail*`` means every queue that starts with mail.

        Raises ValueError for an empty or too long name, and for a star elsewhere.
        """
        parts = (text or "").split(",") if text else []
        left_out = [part.removeprefix(_BUT) for part in parts if part.startswith(_BUT)]
        served = cls._of([part for part in parts if not part.startswith(_BUT)], text)
        return served.without(cls._of(left_out, text)) if left_out else served

    @classmethod
    def _of(cls, parts: Sequence[str], text: str | None) -> Queues:
        names, prefixes = [], []
        for part in parts:
            name = part.strip()
            if not name:
                raise ValueError(f"{text!r} has an empty queue name; write it like mail,default")
            check_queue(name.rstrip("*") or "any")
            if "*" in name.removesuffix("*"):
                raise ValueError(f"{name!r}: a star may only stand at the end")
            if name.endswith("*"):
                prefixes.append(name[:-1])
            else:
                names.append(name)
        return cls() if "" in prefixes else cls(tuple(names), tuple(prefixes))

    def without(self, others: Queues) -> Queues:
        """These queues without the others.

        Raises ValueError when none is left.
        """
        chosen = bool(self.names or self.prefixes)
        names = tuple(name for name in self.names if not others.admit(name))
        prefixes = tuple(each for each in self.prefixes if not each.startswith(others.prefixes))
        if others == Queues() or (chosen and not names and not prefixes):
            raise ValueError(f"no queue is left to serve: {self} without {others}")
        if chosen and not prefixes:
            return Queues(names)  # a claim can name them
        return replace(self, names=names, prefixes=prefixes, but=others)

    @property
    def listed(self) -> list[str] | None:
        """The names, or None when a prefix is among them: then the table must be asked."""
        return list(self.names) if self.names and not self.prefixes else None

    @property
    def must_be_looked_for(self) -> bool:
        """Whether only a look at all lanes finds those that these queues admit."""
        return bool(self.prefixes) or self.but is not None

    @property
    def surely_served(self) -> list[str] | None:
        """The names; None for every queue. Queues of a prefix, or of all but some, are not among
        them."""
        return list(self.names) if self.names or self.must_be_looked_for else None

    def admit(self, queue: str) -> bool:
        if self.but is not None and self.but.admit(queue):
            return False
        if not self.names and not self.prefixes:
            return True
        return queue in self.names or queue.startswith(self.prefixes or ("\0",))

    @property
    def written(self) -> str:
        """The text from which :meth:`parse` reads the same."""
        left_out = self.but._texts if self.but else []
        return ",".join([*(self._texts or [EVERY_QUEUE]), *(_BUT + each for each in left_out)])

    @property
    def _texts(self) -> list[str]:
        return [*self.names, *(f"{prefix}*" for prefix in self.prefixes)]

    def __str__(self) -> str:
        served = ", ".join(self._texts) or "all"
        return served if self.but is None else f"{served} but {self.but}"
