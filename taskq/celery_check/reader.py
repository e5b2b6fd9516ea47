"""Reads one module: each use of Celery in it becomes a finding."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterable, Mapping

from taskq.celery_check import imports
from taskq.celery_check.facts import modules, settings, uses
from taskq.celery_check.facts.fact import Fact, Verdict
from taskq.celery_check.finding import Finding
from taskq.celery_check.names import (
    APP,
    DECORATORS,
    RESULT,
    TASK,
    TASK_CLASS,
    Names,
    Offers,
)
from taskq.celery_check.project import Module

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
#: What the attributes of these are looked up in.
_ATTRIBUTES: Mapping[str, Mapping[str, Fact]] = {
    APP: uses.APP,
    f"{APP}.control": uses.CONTROL,
    TASK: uses.TASK,
    f"{TASK}.request": uses.REQUEST,
    RESULT: uses.RESULT,
}
#: What each of these is called in a report.
_CALLED = {APP: "app", TASK: "task", RESULT: "result"}
_DOTTED = re.compile(r"[A-Za-z_]\w*(\.\w+)+")
_INSTALLED = ("taskq", "taskq.apps.TaskqConfig")


class Reader(ast.NodeVisitor):
    """Collects the findings of a module, in its order.

    tasks: how many it defines. names_taskq: whether it has the text of an installed app, "taskq".
    """

    def __init__(self, module: Module, offers: Offers) -> None:
        self._module = module
        self._names = Names(module, offers)
        self._in_task_class = False
        self.findings: list[Finding] = []
        self.tasks = 0
        self.names_taskq = False

    def read(self) -> list[Finding]:
        self.visit(self._module.tree)
        return self.findings

    def _find(self, node: ast.AST, about: str, fact: Fact) -> None:
        line = getattr(node, "lineno", 1)
        self.findings.append(Finding(self._module.path, line, about, fact))

    # Imports

    def visit_Import(self, node: ast.Import) -> None:
        self._names.bind_import(node)
        if any(modules.matters(alias.name) for alias in node.names):
            self.findings += imports.of_import(self._module, node)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        self._names.bind_from(node)
        if not node.level and modules.matters(node.module or ""):
            self.findings += imports.of_from(self._module, node)

    # Names and attributes

    def visit_Attribute(self, node: ast.Attribute) -> None:
        base = self._names.of(node.value) or ""
        if base in _ATTRIBUTES:
            fact = _ATTRIBUTES[base].get(node.attr)
            if fact is not None and fact.verdict is not Verdict.MOVES:
                kind, _, rest = base.partition(".")
                self._find(node, ".".join(filter(None, [_CALLED[kind], rest, node.attr])), fact)
        elif base in modules.NAMES:
            fact = modules.fact_of(f"{base}.{node.attr}")
            if fact.verdict is not Verdict.MOVES:
                self._find(node, f"{base}.{node.attr}", fact)
        self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        text = node.value
        if not isinstance(text, str):
            return
        self.names_taskq |= text in _INSTALLED
        fact = uses.TEXTS.get(text)
        if fact is None and _DOTTED.fullmatch(text) and modules.matters(text):
            fact = modules.fact_of_path(text)
        if fact is not None:
            self._find(node, repr(text), fact)

    # Definitions

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        is_task = any(self._names.of(base) == TASK_CLASS for base in node.bases)
        self._names.bind(node.name, TASK_CLASS if is_task else None)
        before, self._in_task_class = self._in_task_class, is_task
        self.generic_visit(node)
        self._in_task_class = before

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        options = self._task_options(node.decorator_list)
        if self._in_task_class and (own := uses.METHODS.get(node.name)) is not None:
            self._find(node, f"task class {node.name}()", own)
        for decorator in node.decorator_list:
            self.visit(decorator)
        parameters = [*node.args.posonlyargs, *node.args.args]
        self._names.bind(node.name, TASK if options is not None else None)
        self._names.enter()
        for parameter in (*parameters, *node.args.kwonlyargs):
            self._names.bind(parameter.arg, None)
            if (fact := uses.FIXTURES.get(parameter.arg)) is not None and self._is_test(node):
                self._find(parameter, parameter.arg, fact)
        binds = self._in_task_class if options is None else _is_true(options.get("bind"))
        if parameters and binds:
            self._names.bind(parameters[0].arg, TASK)
        before, self._in_task_class = self._in_task_class, False
        for child in (node.args, *node.body):
            self.visit(child)
        self._in_task_class = before
        self._names.leave()

    visit_AsyncFunctionDef = visit_FunctionDef

    def _task_options(self, decorators: Iterable[ast.expr]) -> dict[str, ast.expr] | None:
        """The options of the function's task. None if it is none."""
        for decorator in decorators:
            call = decorator if isinstance(decorator, ast.Call) else None
            if self._names.of(call.func if call else decorator) not in DECORATORS:
                continue
            self.tasks += 1
            given = call.keywords if call else []
            self._options(given, uses.DECORATOR, uses.unknown_option, "@task")
            return {each.arg: each.value for each in given if each.arg is not None}
        return None

    def _options(
        self,
        given: Iterable[ast.keyword],
        facts: Mapping[str, Fact],
        of_unknown: Callable[[str], Fact],
        about: str,
    ) -> None:
        for keyword in given:
            if keyword.arg is None or _is_none(keyword.value):
                continue
            fact = facts.get(keyword.arg) or of_unknown(keyword.arg)
            if fact.verdict is not Verdict.MOVES:
                self._find(keyword.value, f"{about} {keyword.arg}=", fact)

    def _is_test(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
        return node.name.startswith("test") or "conftest" in self._module.name

    # Assignments

    def visit_Assign(self, node: ast.Assign) -> None:
        self.visit(node.value)
        meaning = self._names.of(node.value)
        for target in node.targets:
            self._assign(target, meaning, node.value)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        self.visit(node.annotation)
        if node.value is not None:
            self.visit(node.value)
        self._assign(node.target, self._names.of(node.value), node.value)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        self.generic_visit(node)
        if isinstance(node.target, ast.Name) and node.target.id == "INSTALLED_APPS":
            self._find_celery_in(node.value)

    def _find_celery_in(self, apps: ast.expr | None) -> None:
        for each in ast.walk(apps) if apps is not None else ():
            if isinstance(each, ast.Constant) and each.value == "celery":
                self._find(each, "'celery'", uses.APP_CELERY)

    def _assign(self, target: ast.expr, meaning: str | None, value: ast.expr | None) -> None:
        if isinstance(target, ast.Name):
            self._names.bind(target.id, meaning)
            fact = uses.DECORATOR.get(target.id) if self._in_task_class else None
            if fact is not None and fact.verdict is not Verdict.MOVES:
                self._find(target, f"task class {target.id}", fact)
            if target.id == "INSTALLED_APPS":
                self._find_celery_in(value)
            if self._names.at_top and (found := settings.of_django(target.id)):
                self._find(target, target.id, found[1])
        elif isinstance(target, ast.Attribute) and self._is_conf(target.value):
            self._setting(target, target.attr)
        elif isinstance(target, ast.Subscript) and self._is_conf(target.value):
            if isinstance(target.slice, ast.Constant):
                self._setting(target, str(target.slice.value))
        elif not self._drops(target, value):
            self.visit(target)

    def _drops(self, target: ast.expr, value: ast.expr | None) -> bool:
        """Whether it is ``self.request.chain = None`` or the like, which moves."""
        return (
            isinstance(target, ast.Attribute)
            and target.attr in uses.DROPPING
            and self._names.of(target.value) == f"{TASK}.request"
            and value is not None
            and _is_none(value)
        )

    def _is_conf(self, node: ast.expr) -> bool:
        return self._names.of(node) == f"{APP}.conf"

    def _setting(self, node: ast.AST, name: str) -> None:
        found = settings.of_django(name)
        fact = settings.fact_of(name) if found is None else found[1]
        if fact is not None:
            self._find(node, f"app.conf.{name}", fact)

    # Calls

    def visit_Call(self, node: ast.Call) -> None:
        called = self._names.of(node.func)
        name = node.func.attr if isinstance(node.func, ast.Attribute) else None
        if name in ("apply_async", "apply_async_on_commit") or called == f"{APP}.send_task":
            self._options(node.keywords, uses.CALL, lambda _: uses.UNKNOWN_IN_CALL, f"{name}()")
        elif called == f"{APP}.conf.update":
            for keyword in node.keywords:
                if keyword.arg is not None:
                    self._setting(keyword.value, keyword.arg)
        elif (name or _name(node.func)) == "on_commit" and node.args and _sends(node.args[0]):
            self._find(node, "on_commit()", uses.ON_COMMIT)
        self.generic_visit(node)


def _sends(node: ast.expr) -> bool:
    """Whether a function that is called after the commit does nothing but send a task."""
    match node:
        case ast.Lambda(body=ast.Call(func=function)):
            return _sends(function)
        case ast.Call(func=function, args=[first, *_]) if _name(function) == "partial":
            return _sends(first)
        case ast.Attribute(attr="delay" | "apply_async"):
            return True
    return False


def _name(node: ast.expr) -> str | None:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return None


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _is_true(node: ast.expr | None) -> bool:
    return isinstance(node, ast.Constant) and node.value is True
