"""Equations in order of use."""

from __future__ import annotations

from collections.abc import Mapping

from isletsim.language import Tree, names

__all__ = ["Loop", "ordered"]


class Loop(Exception):
    """Expressions that need each other; `members` closes the loop."""

    def __init__(self, members: list[str]) -> None:
        self.members = members
        super().__init__(" -> ".join(members))


def ordered(trees: Mapping[str, Tree]) -> list[tuple[str, Tree]]:
    """Expressions so that each comes after those it needs; raises `Loop`."""
    needs = {name: sorted(each for each in names(tree) if each in trees) for name, tree in trees.items()}
    found: list[tuple[str, Tree]] = []
    done: dict[str, bool] = {}
    for root in trees:
        path = [(root, list(needs[root]))] if root not in done else []
        done.setdefault(root, False)
        while path:
            name, waiting = path[-1]
            if waiting:
                following = waiting.pop()
                if following not in done:
                    done[following] = False
                    path.append((following, list(needs[following])))
                elif not done[following]:
                    members = [each for each, _ in path]
                    raise Loop([*members[members.index(following) :], following])
            else:
                path.pop()
                done[name] = True
                found.append((name, trees[name]))
    return found
