"""An equation tree as people read it: the paper's letters, powers raised, fractions stacked where there is room.

A `Box` is a piece of typeset text: lines of characters and the line that stands level with its neighbours.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from isletsim.language import Apply, ModelFile, Name, Number, Table, Tree, apply

__all__ = ["Box", "beside", "inline", "letters", "number", "powers", "symbol_namer", "typeset"]

Namer = Callable[[str], str]

_SPELLED = "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi pi rho sigma tau phi chi psi omega"
_SPELLED += " Gamma Delta Theta Lambda Xi Pi Sigma Phi Psi Omega"
_GREEK = dict(zip(_SPELLED.split(), "αβγδεζηθικλμνξπρστφχψωΓΔΘΛΞΠΣΦΨΩ", strict=True))
_SUBSCRIPTS = dict(zip("0123456789aehijklmnoprstuvx", "₀₁₂₃₄₅₆₇₈₉ₐₑₕᵢⱼₖₗₘₙₒₚᵣₛₜᵤᵥₓ", strict=True))
_SUPERSCRIPTS = dict(zip("0123456789-abcdefghijklmnoprstuvwxyz", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻ᵃᵇᶜᵈᵉᶠᵍʰⁱʲᵏˡᵐⁿᵒᵖʳˢᵗᵘᵛʷˣʸᶻ", strict=True))
_SMALL = 3  # letters that are lowered or raised as a whole; more are hard to read
_SHORT = 20  # columns of a quotient that keeps its slash
_INFIX = {"less": "<", "less_equal": "≤", "greater": ">", "greater_equal": "≥", "equal": "=", "not_equal": "≠"}
_INFIX |= {"and": "and", "or": "or"}
OR, AND, NOT, COMPARE, SUM, PRODUCT, POWER, ATOM = range(1, 9)
_RANKS = {"or": OR, "and": AND, "not": NOT, "add": SUM, "subtract": SUM, "negate": SUM, "power": POWER}
_RANKS |= dict.fromkeys(("multiply", "divide", "mod", "hill", "sum", "last"), PRODUCT)
_RANKS["sqrt"] = POWER
_RANKS |= dict.fromkeys(("less", "less_equal", "greater", "greater_equal", "equal", "not_equal"), COMPARE)
_BRACKETS = {"(": ("⎛⎜⎝", "⎞⎟⎠"), "|": ("│││", "│││"), "⌊": ("││⌊", "││⌋")}
_CLOSING = {"(": ")", "|": "|", "⌊": "⌋"}


# --- letters ----------------------------------------------------------------------------------------------------------


def letters(symbol: str) -> str:
    """A paper's symbol as it is printed: ``alpha_m`` is αₘ, ``k12`` is k₁₂, ``tau_b`` stays τ_b."""
    head, *rest = symbol.split("_")
    stem = head.rstrip("0123456789")
    digits = head[len(stem) :]
    shown = _GREEK.get(stem, stem) + (_lowered(digits) if stem else digits)
    for part in rest:
        small = _lowered(part) if len(part) <= _SMALL else part
        shown += small if shown and part and small != part and not shown.endswith("_") else f"_{_GREEK.get(part, part)}"
    return shown


def symbol_namer(files: Mapping[str, ModelFile], file: ModelFile) -> Namer:
    """Return how names are printed in the equations of a file: by symbol, unless two of them would look alike.

    Parameters
    ----------
    files : the stack, by name; borrowed names are printed by their own symbols.
    """
    letter = {name: letters(entry.note.symbol) for name, entry in file.entries.items() if entry.note.symbol}
    for other, borrowed in file.uses.items():
        entries = files[other].entries if other in files else {}
        for name in borrowed:
            if name in entries and entries[name].note.symbol:
                letter[f"{other}.{name}"] = letters(entries[name].note.symbol)
    seen = Counter(letter.values()) + Counter(list(file.entries))
    unique = {name: text for name, text in letter.items() if seen[text] == 1 + (name == text)} | {"time": "t"}
    return lambda name: unique.get(name, name)


def _lowered(text: str) -> str:
    return "".join(_SUBSCRIPTS[each] for each in text) if all(each in _SUBSCRIPTS for each in text) else text


def _raised(text: str) -> str:
    """A text as an exponent, or an empty text when its letters have no small form."""
    if len(text) > _SMALL or not all(each in _SUPERSCRIPTS for each in text):
        return ""
    return "".join(_SUPERSCRIPTS[each] for each in text)


def number(value: float) -> str:
    """A literal: ``0.5``, ``2·10⁻⁵``."""
    mantissa, _, exponent = f"{value:.6g}".partition("e")
    if not exponent:
        return mantissa.replace("-", "−")
    power = "10" + "".join(_SUPERSCRIPTS[each] for each in str(int(exponent)))
    return (power if mantissa == "1" else f"{mantissa}·{power}").replace("-", "−")


def powers(unit: str) -> str:
    """A unit text with raised powers: ``dL**2/mg**2`` is dL²/mg²."""
    head, *rest = unit.split("**")
    for part in rest:
        digits = part[: len(part) - len(part.lstrip("-0123456789"))]
        raised = _raised(digits)
        head += raised + part[len(digits) :] if raised and not part[len(digits) :].startswith(".") else f"^{part}"
    return head.replace("*", "·")


# --- boxes ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Box:
    """Lines of one width, and which of them is level with the neighbours."""

    lines: tuple[str, ...]
    level: int = 0

    @property
    def width(self) -> int:
        """How many columns the box takes."""
        return len(self.lines[0])


def beside(*boxes: Box) -> Box:
    """Boxes in a row, level with one another."""
    above = max(box.level for box in boxes)
    below = max(len(box.lines) - box.level for box in boxes)
    rows = [""] * (above + below)
    for box in boxes:
        first = above - box.level
        for row in range(len(rows)):
            inside = first <= row < first + len(box.lines)
            rows[row] += box.lines[row - first] if inside else " " * box.width
    return Box(tuple(rows), above)


def _text(text: str) -> Box:
    return Box((text,))


def _fraction(above: Box, below: Box) -> Box:
    width = max(above.width, below.width) + 2
    lines = [line.center(width) for line in above.lines]
    lines += ["─" * width, *(line.center(width) for line in below.lines)]
    return Box(tuple(lines), len(above.lines))


def _enclosed(box: Box, bracket: str = "(") -> Box:
    count = len(box.lines)
    if count == 1:
        return _text(f"{bracket}{box.lines[0]}{_CLOSING[bracket]}")
    sides = [side[0] + side[1] * (count - 2) + side[2] for side in _BRACKETS[bracket]]  # two lines need no middle
    return beside(Box(tuple(sides[0]), box.level), box, Box(tuple(sides[1]), box.level))


# --- trees ------------------------------------------------------------------------------------------------------------


def inline(tree: Tree, named: Namer) -> str:
    """A tree in one line, fractions as a/b."""
    return _Setter(named, stacked=False).box(_hoisted(tree)).lines[0]


def typeset(tree: Tree, named: Namer, width: int = 90, factor: bool = False) -> Box:
    """An equation as a box; its level is that of its first row.

    Parameters
    ----------
    named : how a name is printed, usually its symbol.
    width : columns to stay within; a longer equation is broken before its signs.
    factor : a sum stands in brackets, since it multiplies something.
    """
    if factor and _rank(tree) < PRODUCT:
        return _enclosed(typeset(tree, named, width - 2))
    setter = _Setter(named, stacked=True)
    rows: list[Box] = []
    terms = _terms(_hoisted(tree), "")
    for sign, term in terms:
        least = SUM + 1 if sign else SUM if len(terms) > 1 else OR
        piece = beside(_text(sign), setter.box(term, least))
        if piece.width > width:
            return _stacked([_text(line) for line in _broken(inline(tree, named), width)])
        if rows and rows[-1].width + 1 + piece.width <= width:
            rows[-1] = beside(rows[-1], _text(" "), piece)
        else:
            rows.append(piece)
    return _stacked(rows)


def _stacked(rows: list[Box]) -> Box:
    widest = max(row.width for row in rows)
    return Box(tuple(line.ljust(widest) for row in rows for line in row.lines), rows[0].level)


def _hoisted(tree: Tree) -> Tree:
    """The tree with the minus of a first factor moved before its product: -a * b is -(a * b)."""
    if not isinstance(tree, Apply):
        return tree
    arguments = tuple(_hoisted(each) for each in tree.arguments)
    match Apply(tree.operator, arguments):
        case Apply("multiply" | "divide" as operator, (Apply("negate", (first,)), second)):
            return apply("negate", apply(operator, first, second))
        case moved:
            return moved


def _terms(tree: Tree, sign: str) -> list[tuple[str, Tree]]:
    """A sum as signed pieces."""
    match tree:
        case Apply("add", (left, right)):
            return [*_terms(left, sign), *([("+ ", right)] if _leads_negative(right) else _terms(right, "+ "))]
        case Apply("subtract", (left, right)):
            return [*_terms(left, sign), ("− ", right)]
    return [(sign, tree)]


def _leads_negative(tree: Tree) -> bool:
    """Whether a piece begins with a minus, and so needs brackets after a sign."""
    match tree:
        case Number(value):
            return value < 0
        case Apply("add" | "subtract", (left, _)):
            return _leads_negative(left)
    return isinstance(tree, Apply) and tree.operator == "negate"


def _broken(text: str, width: int) -> tuple[str, ...]:
    """A long line broken before a sign, else before a dot or slash, and continued further in."""
    lines: list[str] = []
    while len(text) > width:
        signs = [place for mark in (" + ", " − ") if (place := text.rfind(mark, width // 2, width)) > 0]
        marks = [place for mark in ("·", "/", " ") if (place := text.rfind(mark, 5, width)) > 0]
        cut = max(signs or marks, default=width)
        lines.append(text[:cut].rstrip())
        text = "    " + text[cut:].lstrip()
    return (*lines, text)


def _factors(tree: Tree) -> tuple[list[Tree], list[Tree]]:
    """What a product multiplies and what it divides by; a/b/c has b and c below."""
    match tree:
        case Apply("multiply" | "divide" as operator, (left, right)):
            above, below = _factors(left)
            more, less = _factors(right)
            return ([*above, *more], [*below, *less]) if operator == "multiply" else ([*above, *less], [*below, *more])
    return [tree], []


def _rank(tree: Tree) -> int:
    if isinstance(tree, Number):
        text = number(tree.value)
        return SUM if tree.value < 0 else PRODUCT if "·" in text else ATOM if text[-1] in ".0123456789" else POWER
    return _RANKS.get(tree.operator, ATOM) if isinstance(tree, Apply) else ATOM


@dataclass(frozen=True)
class _Setter:
    """One way of setting: how names are printed, and whether fractions are stacked or written with a slash."""

    named: Namer
    stacked: bool

    @property
    def flat(self) -> _Setter:
        """The same names, in one line."""
        return _Setter(self.named, stacked=False)

    def box(self, tree: Tree, least: int = OR) -> Box:
        """A tree, in brackets when it binds less than its surroundings ask for."""
        inner, rank = self._bare(tree), _rank(tree)
        if rank == PRODUCT and len(inner.lines) > 1:
            rank = POWER  # a bar holds its fraction together
        return _enclosed(inner) if rank < least else inner

    def line(self, tree: Tree, least: int = OR) -> str:
        """A tree in one line."""
        return self.flat.box(tree, least).lines[0]

    def _bare(self, tree: Tree) -> Box:
        match tree:
            case Number(value):
                return _text(number(value))
            case Name(name):
                return _text(self.named(name))
            case Table(abscissae):
                return _text(f"table of {len(abscissae)} points")
            case Apply("multiply" | "divide"):
                return self._product(tree)
            case Apply("add", (left, right)):
                return beside(self.box(left, SUM), _text(" + "), self.box(right, SUM + _leads_negative(right)))
            case Apply("subtract", (left, right)):
                return beside(self.box(left, SUM), _text(" − "), self.box(right, SUM + 1))
            case Apply("negate", (inner,)):
                return beside(_text("−"), self.box(inner, PRODUCT))
            case Apply("power", (base, exponent)):
                return beside(self.box(base, ATOM), _text(self._exponent(exponent)))
            case Apply("hill", (part, half, steepness)):
                return self._hill(part, half, steepness)
            case Apply("where", (condition, first, second)):
                return self._cases(condition, first, second)
            case Apply("not", (inner,)):
                return beside(_text("not "), self.box(inner, COMPARE))
            case Apply(operator, (left, right)) if operator in _INFIX:
                rank = _RANKS[operator]
                return beside(self.box(left, rank), _text(f" {_INFIX[operator]} "), self.box(right, rank + 1))
            case Apply():
                return self._function(tree)

    def _function(self, tree: Apply) -> Box:
        match tree:
            case Apply("abs" | "floor" as operator, (inner,)):
                return _enclosed(self.box(inner), "|" if operator == "abs" else "⌊")
            case Apply("sqrt", (inner,)):
                return beside(_text("√"), self.box(inner, ATOM))
            case Apply("mod", (left, right)):
                return beside(self.box(left, POWER), _text(" mod "), self.box(right, POWER))
            case Apply("sum" | "last" as operator, (Name(name),)):
                return _text(f"{'Σ' if operator == 'sum' else 'last'} {self.named(name)}")
            case Apply("change", (Name(name),)):
                return _text(f"d{self.named(name)}/dt")
            case Apply("table", (argument, Name(data))):
                return beside(_text(self.named(data)), _enclosed(self.box(argument)))
        spelled = "ln" if tree.operator == "log" else tree.operator
        listed = [piece for each in tree.arguments for piece in (_text(", "), self.box(each))][1:]
        return beside(_text(spelled), _enclosed(beside(*listed)))

    def _product(self, tree: Tree) -> Box:
        above, below = _factors(tree)
        if not below:
            return self._dotted(above)
        divisor = self.line(below[0], POWER) if len(below) == 1 else f"({self.flat._dotted(below).lines[0]})"
        short = f"{self.flat._dotted(above).lines[0]}/{divisor}"
        if not self.stacked or (" " not in short and len(short) <= _SHORT):
            return _text(short)
        tall: list[Tree] = [each for each in above if isinstance(each, Apply) and each.operator == "hill"]
        rest = [each for each in above if each not in tall]
        if not rest:
            rest, tall = tall, []
        quotient = _fraction(*(_text(self._listed(part)) for part in (rest, below)))
        return beside(quotient, *(piece for each in tall for piece in (_text("·"), self.box(each, POWER))))

    def _dotted(self, factors: list[Tree]) -> Box:
        least = [SUM + 1 if isinstance(each, Number) else POWER for each in factors]  # 2·10⁻⁵ is a product by itself
        boxes = [self.box(each, rank) for each, rank in zip(factors, least, strict=True)]
        return beside(*[piece for box in boxes for piece in (_text("·"), box)][1:])

    def _listed(self, factors: list[Tree]) -> str:
        """What stands above or below a bar: a lone factor needs no brackets there."""
        return self.line(factors[0]) if len(factors) == 1 else self.flat._dotted(factors).lines[0]

    def _exponent(self, exponent: Tree) -> str:
        return _raised(self.line(exponent).replace("−", "-")) or f"^{self.line(exponent, ATOM)}"

    def _hill(self, part: Tree, half: Tree, steepness: Tree) -> Box:
        if steepness == Number(1.0):
            above, below = self.line(part, POWER), f"{self.line(half, SUM)} + {self.line(part, SUM)}"
        else:
            small = self._exponent(steepness)
            above = self.line(part, ATOM) + small
            below = f"{self.line(half, ATOM)}{small} + {above}"
        return _fraction(_text(above), _text(below)) if self.stacked else _text(f"{above}/({below})")

    def _cases(self, condition: Tree, first: Tree, second: Tree) -> Box:
        if not self.stacked:
            return _text(f"{{{self.line(first)} if {self.line(condition)}, else {self.line(second)}}}")
        rows = [(self.line(first), f"if {self.line(condition)}")]
        while isinstance(second, Apply) and second.operator == "where":
            condition, first, second = second.arguments
            rows.append((self.line(first), f"if {self.line(condition)}"))
        rows += [("", "")] * (len(rows) == 1) + [(self.line(second), "otherwise")]
        width = max(len(value) for value, _ in rows)
        middle = len(rows) // 2
        braces = ["⎧", *"⎪" * (len(rows) - 2), "⎩"]
        braces[middle] = "⎨"
        lines = [f"{brace} {value:<{width}}  {when}" for brace, (value, when) in zip(braces, rows, strict=True)]
        widest = max(len(line) for line in lines)
        return Box(tuple(line.ljust(widest) for line in lines), middle)
