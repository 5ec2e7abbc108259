"""Operations that Python has no syntax for, as numba intrinsics: pointers, structs, calls by address.

An intrinsic is a Python name for a handful of LLVM instructions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from inspect import Parameter, Signature
from typing import Any, TypeVar

import numba
import numba.core.cgutils
import numba.core.typing.templates
import numba.extending
from llvmlite import ir

from isletsim.solver.struct import Integers, Layout, Reals, layout_of

__all__ = [
    "DOUBLE",
    "INT32",
    "INT64",
    "INTEGERS",
    "REALS",
    "Codegen",
    "StructType",
    "call_act",
    "call_at",
    "call_driver",
    "call_factor",
    "call_one",
    "call_two",
    "cgutils",
    "compile_for",
    "compiled",
    "constants",
    "given",
    "integers",
    "intrinsic",
    "keep_apart",
    "merged",
    "next_number",
    "offset",
    "one_lane",
    "reals",
    "struct_at",
    "struct_type",
    "types",
    "with_arguments",
]

# The type checker sees numba without types.
types: Any = numba.types
cgutils: Any = numba.core.cgutils
njit: Any = numba.njit
config: Any = numba.config
extending: Any = numba.extending

REALS = types.CPointer(types.float64)
INTEGERS = types.CPointer(types.int64)
SHORT_INTEGERS = types.CPointer(types.int32)
POINTERS = {"Reals": REALS, "Integers": INTEGERS, "ShortIntegers": SHORT_INTEGERS}
ROWS = {"RealRow": REALS, "IntegerRow": INTEGERS}
NUMBERS = {"int": types.int64, "float": types.float64}

DOUBLE = ir.DoubleType()
INT32 = ir.IntType(32)
INT64 = ir.IntType(64)
BYTE_POINTER = ir.IntType(8).as_pointer()

Codegen = Callable[..., Any]
Function = TypeVar("Function", bound=Codegen)

intrinsic: Callable[[Codegen], Codegen] = extending.intrinsic

# No boxing, no reference counts, no exceptions inside.
PLAIN: dict[str, Any] = {
    "no_cpython_wrapper": True,
    "no_cfunc_wrapper": True,
    "error_model": "numpy",
    "boundscheck": False,
    "_nrt": False,
}


_COMPILED: list[Any] = []  # in the order of their definition, callees before callers
_ONE_LANE: set[Any] = set()


def compiled(function: Function) -> Function:
    """Mark a function that `compile_for` compiles; its annotations are its types."""
    decorate: Callable[[Function], Function] = njit(**PLAIN)
    dispatcher = decorate(function)
    _COMPILED.append(dispatcher)
    return dispatcher


def one_lane(function: Function) -> Function:
    """Mark a function that only one lane has; for several lanes a call of it is no code, and gives 0."""
    dispatcher: Any = compiled(function)
    kind = types.Dispatcher(dispatcher)
    _ONE_LANE.add(dispatcher)

    def typed(typing_context, frame, *others):  # type: ignore[no-untyped-def]
        if frame.layout.lanes > 1:
            result = NUMBERS.get(function.__annotations__["return"], types.none)

            def nothing(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
                return context.get_constant_null(result)

            return result(frame, *others), nothing
        expected = typing_context.resolve_function_type(kind, (frame, *others), {})

        def codegen(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
            callee = context.get_function(kind, expected)
            context.add_linking_libs(callee.libs)
            return callee(builder, arguments)

        return expected, codegen

    names = list(function.__annotations__)
    call = intrinsic(with_arguments(typed, [name for name in names if name != "return"]))
    call.one_lane = dispatcher  # type: ignore[attr-defined]
    return call  # type: ignore[return-value]


@intrinsic
def keep_apart(typing_context):  # type: ignore[no-untyped-def]
    """Keep the function that calls this out of its callers: it runs rarely, and copies take time to compile."""

    def codegen(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        builder.function.attributes.add("noinline")
        return context.get_dummy_value()

    return types.void(), codegen


def with_arguments(typed: Codegen, names: Sequence[str]) -> Codegen:
    """Give the typing function of an intrinsic the arguments of these names."""
    listed = [Parameter(name, Parameter.POSITIONAL_OR_KEYWORD) for name in ("typing_context", *names)]
    typed.__signature__ = Signature(listed)  # type: ignore[attr-defined]
    return typed


def compile_for(entry: Any, lanes: int = 1) -> Any:
    """Return the compiled form of a function for structs of so many lanes.

    All functions of its package are compiled before it, each for its declared types alone: the literal arguments of
    calls make no copies. Only the entry is optimised, with all the others inside.
    """
    package, level = _package(entry), config.OPT
    for dispatcher in _COMPILED:
        signature = _declared(dispatcher, lanes)
        if _package(dispatcher) != package or signature in dispatcher.overloads:
            continue
        if lanes == 1 or dispatcher not in _ONE_LANE:
            dispatcher.disable_compile(val=False)
            config.OPT = level if dispatcher is entry else 0
            dispatcher.compile(signature)
            dispatcher.disable_compile()
    config.OPT = level
    return entry.overloads[_declared(entry, lanes)]


def _package(dispatcher: Any) -> str:
    return str(dispatcher.py_func.__module__).rpartition(".")[0]


def _declared(dispatcher: Any, lanes: int) -> tuple[Any, ...]:
    """Return the numba types of a function's annotations."""
    function = dispatcher.py_func
    names = [text for name, text in function.__annotations__.items() if name != "return"]
    known = NUMBERS | POINTERS | ROWS
    return tuple(known[name] if name in known else struct_type(function.__globals__[name], lanes) for name in names)


def merged(function: Function) -> Function:
    """Make a function part of its only caller; else what is between big functions would be optimised twice."""
    decorate: Callable[[Function], Function] = njit(inline="always", **PLAIN)
    return decorate(function)


# Structs


class StructType(types.Type):  # type: ignore[misc]
    """The numba type of a pointer to a struct; the attribute `lanes` is a constant of the type."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        super().__init__(name=layout.name)

    def field(self, builder: Any, pointer: Any, name: str) -> Any:
        """Return the LLVM pointer to a field."""
        kind, offset = self.layout.fields[name]
        target = DOUBLE if kind in ("float", "RealRow") else INT64
        return builder.bitcast(builder.gep(pointer, [INT64(offset)]), target.as_pointer())


extending.register_model(StructType)(extending.models.OpaqueModel)


@cache
def struct_type(declared: type, lanes: int = 1) -> StructType:
    """Return the numba type of a declared struct (`isletsim.solver.struct`)."""
    return StructType(layout_of(declared, lanes))


@extending.infer_getattr
class _StructAttribute(numba.core.typing.templates.AttributeTemplate):
    key = StructType

    def generic_resolve(self, struct: StructType, name: str) -> Any:  # type: ignore[override]
        """Type of a field."""
        if name == "lanes":
            return types.int64
        field = struct.layout.fields.get(name)
        return None if field is None else (NUMBERS | POINTERS | ROWS)[field.kind]


@extending.lower_getattr_generic(StructType)
def _read(context, builder, struct, pointer, name):  # type: ignore[no-untyped-def]
    if name == "lanes":
        return INT64(struct.layout.lanes)
    place, kind = struct.field(builder, pointer, name), struct.layout.fields[name].kind
    if kind in ROWS:
        return place
    value = builder.load(place, align=8)
    return builder.inttoptr(value, context.get_value_type(POINTERS[kind])) if kind in POINTERS else value


@extending.lower_setattr_generic(StructType)
def _write(context, builder, signature, arguments, name):  # type: ignore[no-untyped-def]
    struct, kind = signature.args
    pointer, value = arguments
    declared = struct.layout.fields[name].kind
    value = context.cast(builder, value, kind, (NUMBERS | POINTERS)[declared])
    if declared in POINTERS:
        value = builder.ptrtoint(value, INT64)
    builder.store(value, struct.field(builder, pointer, name), align=8)


def struct_at(declared: type, lanes: int = 1) -> Codegen:
    """Return an intrinsic that takes an address as a pointer to a struct."""
    kind = struct_type(declared, lanes)

    @intrinsic
    def at(typing_context, address):  # type: ignore[no-untyped-def]
        def codegen(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
            return builder.inttoptr(arguments[0], BYTE_POINTER)

        return kind(types.int64), codegen

    return at


# Pointers


def _pointer(kind: types.Type) -> Codegen:
    @intrinsic
    def pointer(typing_context, address):  # type: ignore[no-untyped-def]
        def codegen(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
            return builder.inttoptr(arguments[0], context.get_value_type(kind))

        return kind(types.int64), codegen

    return pointer


reals: Callable[[int], Reals] = _pointer(REALS)  # the doubles at an address
integers: Callable[[int], Integers] = _pointer(INTEGERS)


@intrinsic
def _offset(typing_context, start, count):  # type: ignore[no-untyped-def]

    def codegen(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        return builder.gep(arguments[0], [arguments[1]])

    return start(start, types.int64), codegen


Array = TypeVar("Array", Reals, Integers)
Offset = Callable[[Array, int], Array]
offset: Offset[Any] = _offset  # the pointer that many elements further on


@intrinsic
def _given(typing_context, pointer):  # type: ignore[no-untyped-def]

    def codegen(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        address = builder.ptrtoint(arguments[0], INT64)
        return builder.icmp_unsigned("!=", address, INT64(0))

    return types.boolean(pointer), codegen


given: Callable[[Any], bool] = _given  # whether a pointer is not 0


@intrinsic
def next_number(typing_context, counter):  # type: ignore[no-untyped-def]
    """Return the next value of a counter; no two threads get the same."""

    def codegen(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        return builder.atomic_rmw("add", arguments[0], INT64(1), "monotonic")

    return types.int64(INTEGERS), codegen


def constants(values: Sequence[float]) -> Codegen:
    """Return an intrinsic that looks a number up in a table."""
    table = ir.Constant(ir.ArrayType(DOUBLE, len(values)), list(values))

    @intrinsic
    def look_up(typing_context, index):  # type: ignore[no-untyped-def]
        def codegen(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
            variable = cgutils.global_constant(builder, "table", table)
            return builder.load(builder.gep(variable, [INT64(0), arguments[0]]))

        return types.float64(types.int64), codegen

    return look_up


# Calls by address with the C calling convention


def _call(result: types.Type, parameters: Sequence[types.Type]) -> tuple[Any, Codegen]:
    def codegen(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        returned = ir.VoidType() if result == types.void else context.get_value_type(result)
        kind = ir.FunctionType(returned, [context.get_value_type(parameter) for parameter in parameters])
        value = builder.call(builder.inttoptr(arguments[0], kind.as_pointer()), arguments[1:])
        return context.get_dummy_value() if result == types.void else value

    return result(types.int64, *parameters), codegen


@intrinsic
def call_one(typing_context, address, a):  # type: ignore[no-untyped-def]
    """`prepare`."""
    return _call(types.void, (REALS,))


@intrinsic
def call_two(typing_context, address, a, b):  # type: ignore[no-untyped-def]
    """`start`, `solve`."""
    return _call(types.void, (REALS, REALS))


@intrinsic
def call_at(typing_context, address, time, a, b, c):  # type: ignore[no-untyped-def]
    """`rhs`, `jac`, `observe`, `roots`; `time` is a pointer to one time per lane."""
    return _call(types.void, (REALS, REALS, REALS, REALS))


@intrinsic
def call_factor(typing_context, address, jacobian, d, lu):  # type: ignore[no-untyped-def]
    """`factor`: one bit per lane, set where a pivot is too small."""
    return _call(types.int32, (REALS, REALS, REALS))


@intrinsic
def call_act(typing_context, address, index, amount, time, y, p):  # type: ignore[no-untyped-def]
    """`act`; `amount` and `time` are pointers to one number per lane."""
    return _call(types.void, (types.int32, REALS, REALS, REALS, REALS))


@intrinsic
def call_driver(typing_context, address, result, exception, frame):  # type: ignore[no-untyped-def]
    """A compiled driver, by numba's own calling convention."""
    return _call(types.int32, (types.int64, types.int64, types.int64))
