"""Results of many tasks as one: ``ResultSet``, and ``GroupResult``, which has an id."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from taskq.celery import finding_results, saved_groups, states
from taskq.celery.async_result import AsyncResult, key_of
from taskq.celery.joining import refuse_in_a_task
from taskq.celery.result_tree import ResultBase
from taskq.lookup import Known


class ResultSet(ResultBase):
    """The results of many tasks.

    Args:
        results: The results, in order.
        **ignored: What Celery's has beside.
    """

    parent: ResultBase | None = None

    def __init__(self, results: Iterable[Any], **ignored: Any) -> None:
        self.results: list[Any] = list(results)

    # The members

    def add(self, result: Any) -> None:
        """Add a result, unless it is a member."""
        if result not in self.results:
            self.results.append(result)

    def update(self, results: Iterable[Any]) -> None:
        """Add each of these, unless it is a member."""
        for result in results:
            self.add(result)

    def remove(self, result: Any) -> None:
        """Remove a member, or the one with this id. Raises KeyError for another."""
        try:
            self.results.remove(result)
        except ValueError:
            raise KeyError(result) from None

    def discard(self, result: Any) -> None:
        """Remove a result if it is a member."""
        if result in self.results:
            self.results.remove(result)

    def clear(self) -> None:
        """Remove all members."""
        self.results.clear()

    @property
    def children(self) -> list[ResultBase] | None:
        return self.results

    # What is known of them, by few queries for all

    def successful(self) -> bool:
        """Whether all are done."""
        return all(status == "SUCCESS" for status in self._statuses())

    def failed(self) -> bool:
        """Whether any has failed."""
        return any(status == "FAILURE" for status in self._statuses())

    def ready(self) -> bool:
        """Whether each is done, has failed, or was cancelled."""
        return all(status in states.OVER for status in self._statuses())

    def waiting(self) -> bool:
        """Whether any is not ready."""
        return not self.ready()

    def completed_count(self) -> int:
        """How many are done."""
        return sum(status == "SUCCESS" for status in self._statuses())

    def _statuses(self) -> list[str]:
        leaves = list(self._leaves())
        known = _known_of(leaves)
        return [
            states.status(known.get(leaf)) if isinstance(leaf, AsyncResult) else leaf.status
            for leaf in leaves
        ]

    def _leaves(self) -> Iterator[Any]:
        """The members, with those of each member that is a set in its place."""
        for result in self.results:
            if isinstance(result, ResultSet):
                yield from result._leaves()
            else:
                yield result

    # Their values

    def get(
        self,
        timeout: float | None = None,
        propagate: bool = True,
        *,
        callback: Callable[[Any, Any], object] | None = None,
        disable_sync_subtasks: bool = True,
        **ignored: Any,
    ) -> list[Any]:
        """Wait for all members, and return their values in order.

        Args:
            timeout: Seconds for all. By default it waits for ever.
            propagate: Raise what a member failed with, as soon as it is known and before the rest
                is done. False puts it in the place of the value.
            callback: Called with the id and the value of each. Then the list is empty.
            disable_sync_subtasks: False lets a task wait. Workers that all wait run nothing.

        Raises what ``AsyncResult.get()`` raises.
        """
        if disable_sync_subtasks:
            refuse_in_a_task()
        found: dict[AsyncResult, Known] = {}
        left = [leaf for leaf in self._leaves() if isinstance(leaf, AsyncResult)]
        for _ in finding_results.looks(timeout, lambda: repr(self)):
            found |= _known_of(left)
            for leaf in left:
                if leaf not in found:
                    leaf.get(0)  # it raises what is the matter
                if propagate:
                    states.given(found[leaf], propagate)
            left = [leaf for leaf in left if not states.is_over(found[leaf])]
            if not left:
                break
        values = self._values(found, propagate)
        if callback is None:
            return values
        for result, value in zip(self.results, values, strict=True):
            callback(result.id, value)
        return []

    join = join_native = get

    def _values(self, found: dict[AsyncResult, Known], propagate: bool) -> list[Any]:
        return [
            result._values(found, propagate)
            if isinstance(result, ResultSet)
            else states.given(found[result], propagate)
            if isinstance(result, AsyncResult)
            else result.get(propagate=propagate)
            for result in self.results
        ]

    def maybe_throw(
        self, propagate: bool = True, callback: Callable[[Any, Any], object] | None = None
    ) -> None:
        """Raise what a member has failed with, without a wait; as of ``AsyncResult``."""
        for result in self.results:
            result.maybe_throw(propagate=propagate, callback=callback)

    maybe_reraise = maybe_throw

    def iterate(self, timeout: float | None = None, propagate: bool = True) -> Iterator[Any]:
        """The values in the order in which the members end. As of :meth:`get`."""
        left = list(self.results)
        for _ in finding_results.looks(timeout, lambda: repr(self)):
            for result in [each for each in left if each.ready()]:
                left.remove(result)
                yield result.get(propagate=propagate)
            if not left:
                return

    def revoke(self, *, terminate: bool = False, **ignored: Any) -> list[Any]:
        """Revoke each member; as of ``AsyncResult``. Returns what each says."""
        return [result.revoke(terminate=terminate) for result in self.results]

    def forget(self) -> None:
        """Remove the stored result of each member."""
        for result in self.results:
            result.forget()

    forget_alone = forget

    def __iter__(self) -> Iterator[Any]:
        return iter(self.results)

    def __len__(self) -> int:
        return len(self.results)

    def __getitem__(self, index: Any) -> Any:
        return self.results[index]

    def __eq__(self, other: object) -> bool:
        return other.results == self.results if isinstance(other, ResultSet) else NotImplemented

    __hash__ = None  # type: ignore[assignment]  # its members change

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: [{', '.join(str(each.id) for each in self.results)}]>"


class GroupResult(ResultSet):
    """The results of a group.

    Args:
        id: The id of the group. It is no task's id.
        results: The results of its parts, in order.
        parent: The result before it, in a workflow.
        **ignored: What Celery's has beside.
    """

    def __init__(
        self,
        id: str | None = None,
        results: Iterable[Any] = (),
        parent: ResultBase | None = None,
        **ignored: Any,
    ) -> None:
        super().__init__(results)
        self.id = id or str(uuid.uuid4())
        self.parent = parent

    def as_tuple(self) -> tuple[Any, ...]:
        """The ids of the group, of its parts and of what is before it, for
        ``result_from_tuple()``. JSON can carry them."""
        (key, _) = super().as_tuple()
        return key, [result.as_tuple() for result in self.results]

    def save(self, backend: object = None, *, using: str | None = None) -> None:
        """Store the ids of the parts, so that ``GroupResult.restore(id)`` finds them. They are kept
        as long as results are, for TASKQ["RESULT_TTL"] seconds.

        using: the alias of the database. By default the router decides.
        """
        saved_groups.save(self.id, self.as_tuple(), using)

    def delete(self, backend: object = None, *, using: str | None = None) -> None:
        """Forget what :meth:`save` has stored. The tasks and their results stay."""
        saved_groups.delete(self.id, using)

    @classmethod
    def restore(
        cls, id: str, backend: object = None, app: object = None, *, using: str | None = None
    ) -> GroupResult | None:
        """The group that was saved with this id. None when none was, or it is not kept any more.
        ``backend`` and ``app`` are ignored."""
        found = saved_groups.find(id, using)
        return None if found is None else result_from_tuple(found, using=using)

    def __bool__(self) -> bool:
        return True

    def __eq__(self, other: object) -> bool:
        if isinstance(other, GroupResult):
            return (other.id, other.results, other.parent) == (self.id, self.results, self.parent)
        return other == self.id if isinstance(other, str) else NotImplemented

    def __hash__(self) -> int:  # type: ignore[override]  # its id does not change
        return hash(self.id)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.id, self.results, self.parent)

    def __str__(self) -> str:
        return str(self.id)

    def __repr__(self) -> str:
        members = ", ".join(str(each.id) for each in self.results)
        return f"<{type(self).__name__}: {self.id} [{members}]>"


def result_from_tuple(found: Any, app: object = None, *, using: str | None = None) -> Any:
    """The result of which ``as_tuple()`` was taken, also after JSON has carried it.

    app: ignored.
    using: the alias of the database of the tasks. By default the router decides.
    """
    if isinstance(found, ResultBase):
        return found
    key, members = found
    id, parent = key if isinstance(key, (list, tuple)) else (key, None)
    before = result_from_tuple(parent, using=using) if parent else None
    if members is None:
        return AsyncResult(id, using=using, parent=before)
    return GroupResult(id, [result_from_tuple(each, using=using) for each in members], before)


def _known_of(leaves: Iterable[Any]) -> dict[AsyncResult, Known]:
    """What is known of those of these results whose tasks have rows."""
    by_key = {key_of(leaf): leaf for leaf in leaves if isinstance(leaf, AsyncResult)}
    found: dict[AsyncResult, Known] = {}
    for using in {using for using, _ in by_key}:
        pks = [pk for alias, pk in by_key if alias == using]
        known = finding_results.known_of_many(pks, using)
        found.update((by_key[using, pk], each) for pk, each in known.items())
    return found
