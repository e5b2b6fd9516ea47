"""The methods of a task that make signatures, and those that change the workflow it runs in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NoReturn

from taskq.celery.async_result import AsyncResult
from taskq.celery.canvas import calls, replacing
from taskq.celery.canvas.maps import chunks, xmap, xstarmap
from taskq.celery.canvas.reading import checked, kind_of, merged
from taskq.celery.canvas.signatures import Signature, maybe_signature
from taskq.workflow.replacing import add_part


class CanvasMethods:
    """Mixed into a task."""

    name: str
    request: Any

    def signature(
        self,
        args: Sequence[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        options: Mapping[str, Any] | None = None,
        *,
        immutable: bool = False,
        **more: Any,
    ) -> Signature:
        """This task with some of its arguments, and options of apply_async, to be sent later.

        Args:
            args: Positional arguments. Those that are given later come before them.
            kwargs: Keyword arguments. Those that are given later win.
            options: Options of ``apply_async()``.
            immutable: Arguments given later are ignored.
            **more: Options too.
        """
        return Signature(self, args, kwargs, options, immutable=immutable, **more)

    subtask = signature

    def s(self, *args: Any, **kwargs: Any) -> Signature:
        """This task with some of its arguments, to be sent later."""
        return Signature(self, args, kwargs)

    def si(self, *args: Any, **kwargs: Any) -> Signature:
        """As :meth:`s`; arguments given later are ignored."""
        return Signature(self, args, kwargs, immutable=True)

    def map(self, it: Iterable[Any]) -> xmap:
        """A signature of one run that calls this task with each of these arguments."""
        return xmap(self.s(), it)

    def starmap(self, it: Iterable[Any]) -> xstarmap:
        """As :meth:`map`, where each is a tuple of positional arguments."""
        return xstarmap(self.s(), it)

    def chunks(self, it: Iterable[Any], n: int) -> chunks:
        """A signature of a group. Each of its runs calls this task ``n`` times.

        it: the positional arguments of each call, a tuple or list.
        """
        return chunks(self.s(), it, n)

    def replace(self, sig: Any) -> Any:
        """End this run, and run a signature in its place: ``return self.replace(sig)``.

        It takes the id of this task. What waits for this task waits for the signature, and gets its
        value. A group takes the place with the list of its values.

        Returns the value in eager mode. Else it raises an exception that ends the run.

        Raises:
            TypeError: It is no signature, or arguments do not fit.
            ValueError: It is an empty chain.
            RuntimeError: No run of this task is in progress, or it has dropped what follows it.
        """
        part = checked(sig, "what is to replace a task")
        if self.request.is_eager:
            return maybe_signature(part).apply().get(disable_sync_subtasks=False)
        if self.request.pk is None:
            raise RuntimeError(f"{self.name} does not run here, so nothing can replace it")
        if self.request.drops:
            raise RuntimeError(
                f"this run of {self.name} has dropped what follows it (request.chain = None or the "
                "like), so nothing can replace it: send the signature, by delay()"
            )
        self._raise_replace(part)

    def _raise_replace(self, part: Mapping[str, Any]) -> NoReturn:
        raise replacing.exception_for(part)

    def add_to_chord(self, sig: Any, lazy: bool = False) -> AsyncResult:
        """Send one more part of the header that this task is of. Its value comes at the end of the
        list that the body gets.

        Args:
            sig: A signature of a single task.
            lazy: Not supported.

        Raises:
            TypeError: It is no such signature, or ``lazy`` is set.
            RuntimeError: This task is of no workflow.
        """
        part = checked(sig, "what is added to a chord")
        if lazy:
            raise TypeError("lazy is True: the part is sent at once, and only so it can count")
        if kind_of(part) != "call":
            raise TypeError(f"{part['task']} cannot be added to a chord: give a single task")
        args, kwargs, options = merged(part, (), {})
        definition = calls.definition(part["task"])
        args, kwargs, options = calls.made(definition, args, kwargs, options)
        using = options.get("using")
        terms = calls.terms(part, definition, options)
        return AsyncResult.of(add_part(definition, args, kwargs, using=using, **terms), using)
