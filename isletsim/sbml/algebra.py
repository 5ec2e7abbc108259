"""Algebra on expression trees: dependency order, linear forms, substitution, bipartite matching."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from isletsim.language import Apply, Name, Number, Tree, apply, names

__all__ = ["Cycle", "dependents", "linear", "matched", "ordered", "renamed"]

Line = tuple[Tree | None, Tree]  # slope (None where there is none) and the rest


class Cycle(ValueError):
    """Circular definition; the argument lists the names."""


def ordered(definitions: Mapping[str, Tree], roots: Iterable[str]) -> list[str]:
    """Return the roots and their dependencies in dependency order.

    Raises
    ------
    Cycle : the definitions are circular.
    """
    done: dict[str, bool] = {}
    result: list[str] = []
    for root in roots:
        if root in done or root not in definitions:
            continue
        done[root] = False
        path = [(root, sorted(names(definitions[root]) & definitions.keys()))]
        while path:
            name, waiting = path[-1]
            if not waiting:
                path.pop()
                done[name] = True
                result.append(name)
                continue
            following = waiting.pop()
            if following not in done:
                done[following] = False
                path.append((following, sorted(names(definitions[following]) & definitions.keys())))
            elif not done[following]:
                members = [each for each, _ in path]
                raise Cycle(" -> ".join([*members[members.index(following) :], following]))
    return result


def dependents(definitions: Mapping[str, Tree], sources: Iterable[str]) -> set[str]:
    """Return the sources and everything that depends on them."""
    users: dict[str, list[str]] = {}
    for name, tree in definitions.items():
        for each in names(tree):
            users.setdefault(each, []).append(name)
    found: set[str] = set(sources)
    waiting = list(found)
    while waiting:
        for each in users.get(waiting.pop(), ()):
            if each not in found:
                found.add(each)
                waiting.append(each)
    return found


def needed(definitions: Mapping[str, Tree], tree: Tree) -> set[str]:
    """Return every name that a tree depends on, directly or through definitions."""
    found = set(names(tree))
    waiting = list(found)
    while waiting:
        name = waiting.pop()
        if name in definitions:
            new = names(definitions[name]) - found
            found |= new
            waiting.extend(new)
    return found


def renamed(tree: Tree, replace: Mapping[str, Tree]) -> Tree:
    """Return the tree with names replaced; shared subtrees stay shared."""
    done: dict[int, Tree] = {}
    stack = [tree]
    while stack:
        node = stack[-1]
        if id(node) in done:
            stack.pop()
        elif isinstance(node, Apply):
            waiting = [each for each in node.arguments if id(each) not in done]
            if waiting:
                stack.extend(waiting)
                continue
            stack.pop()
            done[id(node)] = Apply(node.operator, tuple(done[id(each)] for each in node.arguments))
        else:
            stack.pop()
            done[id(node)] = replace.get(node.name, node) if isinstance(node, Name) else node
    return done[id(tree)]


# --- straight lines ---------------------------------------------------------------------------------------------------


def linear(
    tree: Tree, unknown: str, definitions: Mapping[str, Tree], affected: set[str], pieces: bool = False
) -> Line | None:
    """Return the tree as slope * unknown + rest, or None when it is not linear in the unknown.

    Parameters
    ----------
    definitions : named trees that are looked into.
    affected : every name that depends on the unknown, itself included.
    pieces : accept choices and whole parts (`floor`); slope and rest then hold as long as these stay as they are.
    """
    try:
        return _line(tree, unknown, definitions, affected, pieces)
    except RecursionError:  # too deep to be looked through: nothing is known of it
        return None


def _line(tree: Tree, unknown: str, definitions: Mapping[str, Tree], affected: set[str], pieces: bool) -> Line | None:
    if isinstance(tree, Name):
        if tree.name == unknown:
            return Number(1.0), Number(0.0)
        if tree.name in affected:
            known = definitions.get(tree.name)
            return None if known is None else _line(known, unknown, definitions, affected, pieces)
        return None, tree
    if not isinstance(tree, Apply) or (pieces and tree.operator == "floor"):
        return None, tree
    if pieces and tree.operator == "where":
        first, second = (_line(each, unknown, definitions, affected, pieces) for each in tree.arguments[1:])
        return None if first is None or second is None else _chosen(tree.arguments[0], first, second)
    lines = [_line(each, unknown, definitions, affected, pieces) for each in tree.arguments]
    if all(line is not None and line[0] is None for line in lines):
        return None, tree
    if any(line is None for line in lines) or tree.operator not in _LINES:
        return None
    return _LINES[tree.operator](*lines)


def _chosen(condition: Tree, first: Line, second: Line) -> Line:
    slopes = [Number(0.0) if line[0] is None else line[0] for line in (first, second)]
    flat = first[0] is None and second[0] is None
    return None if flat else apply("where", condition, *slopes), apply("where", condition, first[1], second[1])


def _added(first: Line, second: Line) -> Line:
    slopes = [each for each in (first[0], second[0]) if each is not None]
    slope = slopes[0] if len(slopes) == 1 else apply("add", *slopes)
    return slope, apply("add", first[1], second[1])


def _negated(line: Line) -> Line:
    return (None if line[0] is None else _negative(line[0])), _negative(line[1])


def _negative(tree: Tree) -> Tree:
    return Number(-tree.value) if isinstance(tree, Number) else apply("negate", tree)


def _multiplied(first: Line, second: Line) -> Line | None:
    if first[0] is not None and second[0] is not None:
        return None
    line, factor = (first, second[1]) if first[0] is not None else (second, first[1])
    assert line[0] is not None
    return apply("multiply", line[0], factor), apply("multiply", line[1], factor)


def _divided(first: Line, second: Line) -> Line | None:
    if second[0] is not None:
        return None
    assert first[0] is not None
    return apply("divide", first[0], second[1]), apply("divide", first[1], second[1])


_LINES: dict[str, Callable[..., Line | None]] = {
    "add": _added,
    "subtract": lambda first, second: _added(first, _negated(second)),
    "negate": _negated,
    "multiply": _multiplied,
    "divide": _divided,
}


# --- which rule determines what ---------------------------------------------------------------------------------------


def matched(candidates: Sequence[Sequence[str]]) -> list[str | None]:
    """Match every rule with one variable, earlier candidates preferred; None when no variable is left.

    Augmenting paths of bipartite matching (Kuhn); a rule that comes later may move an earlier one to its next choice.
    """
    holder: dict[str, int] = {}

    def place(rule: int, seen: set[str]) -> bool:
        for variable in candidates[rule]:
            if variable in seen:
                continue
            seen.add(variable)
            if variable not in holder or place(holder[variable], seen):
                holder[variable] = rule
                return True
        return False

    for rule in range(len(candidates)):
        place(rule, set())
    found: list[str | None] = [None] * len(candidates)
    for variable, rule in holder.items():
        found[rule] = variable
    return found
