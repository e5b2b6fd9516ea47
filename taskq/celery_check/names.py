"""What the names of a module stand for: names of Celery, or apps, tasks and results of it."""

from __future__ import annotations

import ast

from taskq.celery_check.project import Module

#: What a name may be beside a dotted path.
APP = "<app>"
TASK = "<task>"
TASK_CLASS = "<task class>"
RESULT = "<result>"

_SAME = {
    "celery.current_app": APP,
    "celery.app.default_app": APP,
    "celery.current_task": TASK,
    "celery.Task": TASK_CLASS,
    "celery.app.task.Task": TASK_CLASS,
    f"{APP}.Task": TASK_CLASS,
    f"{APP}.current_task": TASK,
    "celery.contrib.django.task.DjangoTask": TASK_CLASS,
}
#: What a call of it gives.
_CALLED = {
    "celery.Celery": APP,
    "celery.app.base.Celery": APP,
    "celery.app.app_or_default": APP,
    "celery.result.AsyncResult": RESULT,
    "celery.result.GroupResult": RESULT,
    f"{APP}.AsyncResult": RESULT,
    f"{APP}.send_task": RESULT,
    f"{TASK}.AsyncResult": RESULT,
    f"{TASK}.delay": RESULT,
    f"{TASK}.apply_async": RESULT,
}
#: The decorators of tasks.
DECORATORS = frozenset(
    {"celery.shared_task", "celery.app.shared_task", "celery.task", "celery.task.task"}
    | {"celery.decorators.task", f"{APP}.task"}
)


class Offers:
    """What the modules of a project offer to each other: its apps, tasks and classes of tasks."""

    def __init__(self) -> None:
        self._kinds: dict[str, str] = {}

    def add(self, module: str, name: str, kind: str) -> None:
        """The root of what is read need not be one of Python's paths: each end of the module's
        path may be how it is imported."""
        path = f"{module}.{name}"
        while "." in path:
            self._kinds.setdefault(path, kind)
            path = path.partition(".")[2]

    def find(self, path: str) -> str | None:
        return self._kinds.get(path)


class Names:
    """The names of one module, as they are bound while it is read from its beginning.

    A function has names of its own; a class shares those around it.
    """

    def __init__(self, module: Module, offers: Offers) -> None:
        self._module = module
        self._offers = offers
        self._scopes: list[dict[str, str | None]] = [{}]

    def enter(self) -> None:
        self._scopes.append({})

    def leave(self) -> None:
        self._scopes.pop()

    @property
    def at_top(self) -> bool:
        return len(self._scopes) == 1

    def bind(self, name: str, meaning: str | None) -> None:
        self._scopes[-1][name] = meaning
        if self.at_top and meaning in (APP, TASK, TASK_CLASS):
            self._offers.add(self._module.name, name, meaning)

    def bind_import(self, node: ast.Import) -> None:
        for alias in node.names:
            if alias.asname is not None:
                self.bind(alias.asname, self._known(alias.name))
            else:
                top = alias.name.partition(".")[0]
                self.bind(top, top)

    def bind_from(self, node: ast.ImportFrom) -> None:
        module = self.module_of(node)
        for alias in node.names:
            self.bind(alias.asname or alias.name, self._known(f"{module}.{alias.name}"))

    def module_of(self, node: ast.ImportFrom) -> str:
        """The dotted path of the module that is imported from."""
        if not node.level:
            return node.module or ""
        parts = self._module.package.split(".")
        parts = parts[: len(parts) - node.level + 1]
        return ".".join([*parts, *([node.module] if node.module else [])])

    def of(self, node: ast.expr | None) -> str | None:
        """What an expression stands for: a dotted path or a kind. None where nobody knows."""
        match node:
            case ast.Name(id=name):
                return next(
                    (scope[name] for scope in reversed(self._scopes) if name in scope), None
                )
            case ast.Attribute(value=value, attr=attr):
                base = self.of(value)
                return None if base is None else self._known(f"{base}.{attr}")
            case ast.Call(func=function):
                called = self.of(function)
                return TASK if called == TASK_CLASS else _CALLED.get(called or "")
        return None

    def _known(self, path: str) -> str:
        return _SAME.get(path) or self._offers.find(path) or path
