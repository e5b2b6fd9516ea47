"""Which queues a pool serves: names, and prefixes that end in a star."""

from __future__ import annotations

from dataclasses import dataclass

from taskq.values import check_queue

#: How ``-Q`` takes all queues.
EVERY_QUEUE = "*"


@dataclass(frozen=True)
class Queues:
    """What ``-Q`` chose. Empty means all."""

    names: tuple[str, ...] = ()
    prefixes: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str | None) -> Queues:
        """Read a comma-separated list. ``mail*`` means every queue that starts with mail.

        Raises ValueError for an empty or too long name, and for a star elsewhere.
        """
        names, prefixes = [], []
        for part in (text or "").split(",") if text else []:
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

    @property
    def listed(self) -> list[str] | None:
        """The names, or None when a prefix is among them: then the table must be asked."""
        return list(self.names) if self.names and not self.prefixes else None

    def admit(self, queue: str) -> bool:
        if not self.names and not self.prefixes:
            return True
        return queue in self.names or queue.startswith(self.prefixes or ("\0",))

    @property
    def written(self) -> str:
        """The text from which :meth:`parse` reads the same."""
        return ",".join([*self.names, *(f"{prefix}*" for prefix in self.prefixes)]) or EVERY_QUEUE

    def __str__(self) -> str:
        return ", ".join([*self.names, *(f"{prefix}*" for prefix in self.prefixes)]) or "all"
