"""What follows a signature: its callbacks and its errbacks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Self

from taskq.celery.canvas.items import Item
from taskq.celery.canvas.reading import checked
from taskq.celery.listed import listed


class Links(dict[str, Any]):
    """The part of a signature that is about what is linked to it."""

    task = Item[str]("task")
    options = Item[dict[str, Any]]("options")

    if TYPE_CHECKING:  # the whole class has it

        @classmethod
        def from_dict(cls, d: Mapping[str, Any], app: object = None) -> Any: ...

    def link(self, callback: Any) -> Any:
        """Send this too once the task has succeeded, with its value as first argument. Returns the
        callback.

        Raises TypeError for what is no signature.
        """
        return self.append_to_list_option("link", callback)

    def link_error(self, errback: Any) -> Any:
        """Send this too if the task fails for good. Returns the errback.

        An errback that takes three more arguments than it has gets the request, the error and the
        traceback of the task. Any other gets its id.

        Raises TypeError for what is no signature.
        """
        return self.append_to_list_option("link_error", errback)

    def on_error(self, errback: Any) -> Self:
        """:meth:`link_error`, but it returns this signature."""
        self.link_error(errback)
        return self

    def append_to_list_option(self, key: str, value: Any) -> Any:
        """Add a signature to the list of this option, unless it is in there. Returns it."""
        checked(value, f"{key} of {self.task}")
        items = self.options[key] = list(listed(self.options.get(key)))
        if value not in items:
            items.append(value)
        return value

    def extend_list_option(self, key: str, value: Any) -> None:
        """Add signatures to the list of this option."""
        self.options[key] = [*listed(self.options.get(key)), *listed(value)]

    def flatten_links(self) -> list[Any]:
        """This signature and all that follow by :meth:`link`."""
        return list(self._linked())

    def _linked(self) -> Iterator[Any]:
        yield self
        for link in listed(self.options.get("link")):
            yield from self.from_dict(link)._linked()
