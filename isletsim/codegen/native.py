"""Machine code: LLVM IR to an object for this processor, kept in the cache, loaded in place.

An entry of the cache is one line of JSON (sizes) and the object code. Its name is made of
the equations, the compiler's own sources, the version of LLVM and the processor, but not of values of parameters.
"""

from __future__ import annotations

import ctypes
import hashlib
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from isletsim import cache as store

__all__ = [
    "LANES",
    "LIBRARY",
    "Loaded",
    "load_object",
    "make_object",
    "read_entry",
    "surroundings",
    "write_entry",
]

EFFORT = 1  # of LLVM's code generator
LIBRARY = (
    "sin",
    "cos",
    "asin",
    "acos",
    "atan",
    "sinh",
    "cosh",
    "asinh",
    "acosh",
    "atanh",
)  # the C library's, of one number
FROM_C = (*LIBRARY, "floor", "fma", "memset", "memcpy")  # what generated code may call
LANES = 8  # subjects side by side
FUNCTIONS = ("prepare", "start", "rhs", "jac", "factor", "solve", "observe", "roots", "bounds", "act")


@dataclass(frozen=True)
class Loaded:
    """Machine code in memory: the address of every function, 0 for one that was not made; lives as long as `engine`."""

    addresses: dict[str, int]
    engine: Any


@cache
def _processor() -> tuple[str, str, str]:
    """Triple, name and features of this processor."""
    import llvmlite.binding as llvm

    return llvm.get_process_triple(), llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten()


@cache
def surroundings() -> str:
    """Everything besides the equations that decides what the machine code is."""
    import llvmlite

    digest = hashlib.sha256()
    for source in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(source.read_bytes())
    return "\n".join([llvmlite.__version__, *_processor(), str(EFFORT), digest.hexdigest()])


def _target() -> Any:
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    triple, name, features = _processor()
    target = llvm.Target.from_triple(triple)
    return target.create_target_machine(
        cpu=name, features=features, opt=EFFORT, jit=True, reloc="pic", codemodel="small"
    )


@cache
def _connect() -> None:
    """Tell LLVM where the C library's functions are (it sees only what was loaded for everybody)."""
    import llvmlite.binding as llvm

    if sys.platform == "win32":
        library = ctypes.CDLL("ucrtbase")
    else:
        try:
            library = ctypes.CDLL("libm.so.6" if sys.platform.startswith("linux") else None)
        except OSError:
            library = ctypes.CDLL(None)
    for name in FROM_C:
        function = getattr(library, name)
        llvm.add_symbol(name, ctypes.cast(function, ctypes.c_void_p).value)


def make_object(text: str) -> bytes:
    """Object code of a module of LLVM IR."""
    import llvmlite.binding as llvm

    target = _target()
    module = llvm.parse_assembly(text)
    module.triple = _processor()[0]
    module.data_layout = str(target.target_data)
    return bytes(target.emit_object(module))


def load_object(data: bytes, names: Sequence[str] = FUNCTIONS) -> Loaded:
    """Object code made ready to be called, and where the functions of these names are."""
    import llvmlite.binding as llvm

    target = _target()
    _connect()
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), target)
    engine.add_object_file(llvm.ObjectFileRef.from_data(data))
    engine.finalize_object()
    return Loaded({name: int(engine.get_function_address(name)) for name in names}, engine)


def write_entry(name: str, sizes: dict[str, Any], data: bytes) -> None:
    """Keep machine code and the sizes that the solver needs; the cache protects both by one checksum."""
    store.save("model", name, json.dumps(sizes).encode() + b"\n" + data)


def read_entry(name: str) -> tuple[dict[str, Any], bytes] | None:
    """Return sizes and machine code; None when there are none or the entry is damaged."""
    entry = store.load("model", name)
    if entry is None:
        return None
    head, _, data = entry.partition(b"\n")
    try:
        sizes = json.loads(head)
    except ValueError:
        return None
    return (sizes, data) if isinstance(sizes, dict) else None
