"""Attributes of a signature that are items of its dict."""

from __future__ import annotations

from typing import Any, Generic, TypeVar, overload

T = TypeVar("T")


class Item(Generic[T]):
    """An attribute that is an item of the dict, or of a dict in it: ``Item("options", "task_id")``.

    Where the path has more than one name, an item that is missing is None.
    """

    def __init__(self, *path: str) -> None:
        *self._above, self._name = path

    @overload
    def __get__(self, signature: None, owner: object = None) -> Item[T]: ...
    @overload
    def __get__(self, signature: dict[str, Any], owner: object = None) -> T: ...
    def __get__(self, signature: dict[str, Any] | None, owner: object = None) -> T | Item[T]:
        if signature is None:
            return self
        holder = self._holder(signature)
        found: T = holder.get(self._name) if self._above else holder[self._name]  # type: ignore[assignment]
        return found

    def __set__(self, signature: dict[str, Any], value: T) -> None:
        self._holder(signature)[self._name] = value

    def _holder(self, signature: dict[str, Any]) -> dict[str, Any]:
        holder: dict[str, Any] = signature
        for name in self._above:
            holder = holder[name]
        return holder
