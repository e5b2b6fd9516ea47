"""A signal as Celery's users connect to one, on Django's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import django.dispatch


class CelerySignal(django.dispatch.Signal):
    """Django's signal, with Celery's ways to connect: ``connect`` is also a decorator, with and
    without arguments, and a sender may be the name of a task.

    A receiver that raises is logged and harms nothing.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name
        self._names: dict[str, object] = {}
        self._when_heard: Callable[[], None] | None = None

    def when_heard(self, call: Callable[[], None]) -> None:
        """Call this whenever a receiver connects."""
        self._when_heard = call
        self._note_heard()

    def connect(self, *args: Any, **options: Any) -> Any:
        """Connect a receiver, or return a decorator that does.

        Args:
            *args: The receiver, and the sender.
            **options: ``sender``, ``weak`` and ``dispatch_uid``, as Django has them. ``retry`` is
                ignored.

        Raises:
            TypeError: The receiver cannot be called.
        """
        options.pop("retry", None)
        if args and callable(args[0]):
            receiver, *sender = args
            self._connect(receiver, *sender, **options)
            return receiver

        def decorate(receiver: Any) -> Any:
            self._connect(receiver, *args, **options)
            return receiver

        return decorate

    def _connect(self, receiver: Any, sender: Any = None, **options: Any) -> None:
        super().connect(receiver, self._known(sender), **options)
        self._note_heard()

    def disconnect(
        self, receiver: Any = None, sender: Any = None, dispatch_uid: Any = None, **ignored: Any
    ) -> bool:
        """Disconnect a receiver. Returns whether it was connected."""
        return super().disconnect(receiver, self._known(sender), dispatch_uid)

    def send(self, sender: Any, **named: Any) -> list[tuple[Any, Any]]:
        """Send it. An exception of a receiver is logged, and returned in place of its answer."""
        return super().send_robust(self._known(sender), **named)

    send_robust = send

    def has_listeners(self, sender: Any = None) -> bool:
        return super().has_listeners(self._known(sender))

    def _known(self, sender: Any) -> Any:
        """The sender itself. Of texts that are equal always the same one: Django asks for it."""
        if isinstance(sender, str):
            return self._names.setdefault(sender, sender)
        return sender

    def _note_heard(self) -> None:
        if self._when_heard is not None and self.receivers:
            self._when_heard()

    def __repr__(self) -> str:
        return f"<Signal: {self.name}>"
