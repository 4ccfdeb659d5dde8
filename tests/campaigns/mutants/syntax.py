"""One piece of Python found in a syntax tree and replaced, whatever its layout, quotes and comments.

Snippets are plain Python: an expression (`session.paid`), one or more statements, or `name=value`, which is a keyword
argument as well as an assignment. `...` stands for anything: one expression, a whole body (`if paid: ...`), or the
rest of a call's arguments (`run_step(retrieve, ...)`), and stands for the same again in the replacement. An empty
replacement removes.
"""

import ast
import copy
import textwrap
from collections.abc import Callable, Iterator
from typing import Any

Replace = Callable[[], None]


class Misfit(Exception):
    """A snippet that is no Python, or a replacement that cannot stand where the old one stood."""


def replacements(root: ast.AST, old: str, new: str) -> list[Replace]:
    """One function for each place below `root` (or `root` itself) that looks like `old`; it makes it `new`.

    Raises `Misfit`.
    """
    before, after = _parsed(old), _parsed(new)
    if _same(before, after, []):
        raise Misfit(f"the replacement changes nothing: {old!r}")
    found: list[Replace] = []
    for parent in ast.walk(root):
        for field, value in ast.iter_fields(parent):
            if isinstance(value, list):
                found += _in_list(parent, field, value, before, after)
            elif (
                (old_value := _expression(before))
                and isinstance(value, ast.expr)
                and _same(old_value, value, holes := [])
            ):
                found += [_set(parent, field, after, holes)] if _can_stand(parent, before, after) else []
    return found


def _parsed(snippet: str) -> list[ast.stmt]:
    try:
        return ast.parse(textwrap.dedent(snippet).strip()).body
    except SyntaxError as error:
        raise Misfit(f"no Python: {snippet!r} ({error.msg})") from None


def _expression(statements: list[ast.stmt]) -> ast.expr | None:
    match statements:
        case [ast.Expr(value=value)]:
            return value
    return None


def _keyword(statements: list[ast.stmt]) -> ast.keyword | None:
    match statements:
        case [ast.Assign(targets=[ast.Name(id=name)], value=value)]:
            return ast.keyword(arg=name, value=value)
    return None


def _can_stand(parent: ast.AST, before: list[ast.stmt], after: list[ast.stmt]) -> bool:
    """A statement that is one expression is replaced as a statement, when what follows is a statement or nothing."""
    return _expression(after) is not None or not isinstance(parent, ast.Expr)


def _in_list(
    parent: ast.AST, field: str, values: list[Any], before: list[ast.stmt], after: list[ast.stmt]
) -> Iterator[Replace]:
    """Runs of statements; an expression or a keyword that is one of several."""
    if values and isinstance(values[0], ast.stmt):
        if _expression(before) is not None and _expression(after) is not None:
            return  # as an expression, wherever it stands
        for start in range(len(values) - len(before) + 1):
            holes: list[Any] = []
            if _same(before, values[start : start + len(before)], holes):
                yield _splice(values, start, len(before), lambda holes=holes: _filled(after, holes) or [ast.Pass()])
        return
    one_before: ast.AST | None = _expression(before) or _keyword(before)
    one_after: ast.AST | None = _expression(after) or _keyword(after)
    for index, value in enumerate(values):
        holes = []
        if one_before is not None and isinstance(value, ast.AST) and _same(one_before, value, holes):
            if after and isinstance(one_after, ast.expr) is not isinstance(one_before, ast.expr):
                raise Misfit(f"{ast.unparse(value)!r} stands where {ast.unparse(ast.Module(after, []))!r} cannot")
            yield _splice(
                values, index, 1, lambda holes=holes: [_filled(one_after, holes)] if one_after is not None else []
            )


def _splice(values: list[Any], start: int, count: int, make: Callable[[], list[Any]]) -> Replace:
    def replace() -> None:
        values[start : start + count] = make()

    return replace


def _set(parent: ast.AST, field: str, after: list[ast.stmt], holes: list[Any]) -> Replace:
    value = _expression(after)
    if value is None:
        told = ast.unparse(ast.Module(after, [])) if after else "nothing"
        raise Misfit(f"an expression in a {type(parent).__name__} cannot become {told!r}")
    return lambda: setattr(parent, field, _filled(value, holes))


def _is_hole(node: Any) -> bool:
    return isinstance(node, ast.Constant) and node.value is Ellipsis


def _is_body_hole(nodes: Any) -> bool:
    return isinstance(nodes, list) and len(nodes) == 1 and isinstance(nodes[0], ast.Expr) and _is_hole(nodes[0].value)


def _takes_rest(node: Any) -> bool:
    return isinstance(node, ast.Call) and bool(node.args) and _is_hole(node.args[-1]) and not node.keywords


def _same(pattern: Any, node: Any, holes: list[Any]) -> bool:
    """Whether they are one syntax; what `...` stood for is added to `holes`, in the order of the text."""
    if _is_hole(pattern) or _is_body_hole(pattern):
        holes.append(node)
        return isinstance(node, list) if isinstance(pattern, list) else isinstance(node, ast.expr)
    if type(pattern) is not type(node):
        return False
    if isinstance(pattern, list):
        return len(pattern) == len(node) and all(
            _same(one, other, holes) for one, other in zip(pattern, node, strict=True)
        )
    if not isinstance(pattern, ast.AST):
        return bool(pattern == node)
    if isinstance(pattern, ast.Call) and isinstance(node, ast.Call) and _takes_rest(pattern):
        first = pattern.args[:-1]
        if not (_same(pattern.func, node.func, holes) and _same(first, node.args[: len(first)], holes)):
            return False
        holes.append((node.args[len(first) :], node.keywords))
        return True
    return all(
        _same(getattr(pattern, field, None), getattr(node, field, None), holes)
        for field in pattern._fields
        if field not in ("kind", "type_comment")
    )


def _filled(pattern: Any, holes: list[Any]) -> Any:
    """A copy of `pattern` with `holes` in the place of its `...`, in their order."""
    return _fill(copy.deepcopy(pattern), iter(holes))


def _fill(node: Any, holes: Iterator[Any]) -> Any:
    if _is_hole(node) or _is_body_hole(node):
        return next(holes, node)
    if isinstance(node, list):
        return [_fill(one, holes) for one in node]
    if isinstance(node, ast.Call) and _takes_rest(node):
        node.func = _fill(node.func, holes)
        arguments = _fill(node.args[:-1], holes)
        rest, node.keywords = next(holes, ([], []))
        node.args = [*arguments, *rest]
    elif isinstance(node, ast.AST):
        for field, value in ast.iter_fields(node):
            setattr(node, field, _fill(value, holes))
    return node
