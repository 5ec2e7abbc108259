"""The compiled drivers: made once by numba, kept as object code, and loaded without numba at every later start."""

from __future__ import annotations

import atexit
import ctypes
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from isletsim import cache as store
from isletsim.machine import ForkSafeLock, cores
from isletsim.solver.struct import Record

__all__ = ["RUN", "driver", "driver_of", "make_ahead", "run_driver", "where"]

FROM_C = ("pow", "sqrt", "floor", "memset", "memcpy", "memmove")  # all that drivers need from outside
PATIENCE = 0.05  # seconds between two looks for what another process makes
_LOCK = ForkSafeLock()
_KEPT: list[Any] = []  # engines and libraries that hold machine code
_MAKING: dict[str, subprocess.Popen[bytes]] = {}  # drivers that another process makes
_KNOWN: dict[tuple[str, str, int], Driver] = {}


def _renew_locks() -> None:
    """Give a forked process the locks of the compilers free, since another thread may have held them at the fork."""
    _MAKING.clear()
    numba = sys.modules.get("numba.core.compiler_lock")
    if numba is not None:
        numba.global_compiler_lock._lock = threading.RLock()
    llvm = sys.modules.get("llvmlite.binding.ffi")
    if llvm is not None:
        llvm.lib._lock._lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_locks)

Driver = Callable[[int, int, int], int]  # addresses of the result, of an unused slot, and of the frame
Wanted = tuple[str, str, int]  # module and function of a driver, and its number of lanes
RUN = ("isletsim.solver.driver", "run")


def driver(lanes: int = 1) -> Driver:
    """Return the compiled `driver.run` for so many lanes, by numba's own calling convention."""
    return driver_of(*RUN, lanes)


def driver_of(module: str, function: str, lanes: int = 1) -> Driver:
    """Return the compiled driver of another module, by numba's own calling convention."""
    known = _KNOWN.get((module, function, lanes))
    if known is None:
        with _LOCK:
            known = _KNOWN[module, function, lanes] = _driver(module, function, lanes)
    return known


def run_driver(frame: Record, module: str = RUN[0], function: str = RUN[1]) -> None:
    """Run a driver on a frame, which has fields `result` and `exception`."""
    call = driver_of(module, function, frame.layout.lanes)
    call(frame.address_of("result"), frame.address_of("exception"), frame.address)


def where(driver: Driver) -> int:
    """Return the address of a driver, for another one that calls it."""
    return ctypes.cast(driver, ctypes.c_void_p).value or 0  # type: ignore[arg-type]


def make_ahead(*wanted: Wanted) -> None:
    """Has drivers made that are not kept yet: the first here when it is asked for, each other one in
    a process of its own meanwhile. Without a second core, or a cache, nothing is done.

    Parameters
    ----------
    wanted : the drivers that will be, in that order.
    """
    with _LOCK:
        names = {each: _fingerprint(*each) for each in wanted}
        missing = [each for each, name in names.items() if store.load("driver", name) is None]
        if len(missing) < 2 or store.folder() is None or cores() < 2:
            return
        for each in missing[1:]:
            asked = (
                f"import sys; sys.path[:] = {sys.path}; from isletsim.solver import native; native.make_for(*{each})"
            )
            nothing = subprocess.DEVNULL
            try:
                process = subprocess.Popen(
                    [sys.executable, "-c", asked], stdin=subprocess.PIPE, stdout=nothing, stderr=nothing
                )
            except OSError:
                return
            atexit.register(_release, process)
            _MAKING[names[each]] = process


def _release(process: subprocess.Popen[bytes]) -> None:
    """Let a compiling process outlive this one, which ends as it should."""
    try:
        assert process.stdin is not None
        process.stdin.write(b"1")
        process.stdin.close()
    except OSError:  # it has ended
        pass


def make_for(module: str, function: str, lanes: int) -> None:
    """Make and keep a driver for the process at the other end of standard input, and end when that one is killed."""

    def follow() -> None:
        if not sys.stdin.buffer.read(1):
            os._exit(1)

    threading.Thread(target=follow, daemon=True).start()
    driver_of(module, function, lanes)


def _made_elsewhere(name: str) -> bytes | None:
    """What another process makes, when it has; None where none does or it has failed."""
    process = _MAKING.pop(name, None)
    while process is not None:
        ended = process.poll() is not None
        entry = store.load("driver", name)
        if entry is not None or ended:
            return entry
        time.sleep(PATIENCE)
    return None


@cache
def _driver(module: str, function: str, lanes: int) -> Driver:
    name = _fingerprint(module, function, lanes)
    address = _load(store.load("driver", name) or _made_elsewhere(name))
    if address is None:
        symbol, data, fallback = _compile(module, function, lanes)
        entry = json.dumps({"symbol": symbol}).encode() + b"\n" + data
        address = _load(entry)
        if address is None:
            address = fallback()
        else:
            store.save("driver", name, entry)
    prototype = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)
    return prototype(address)


@cache
def _fingerprint(module: str, function: str, lanes: int) -> str:
    """A name made of everything that decides what the machine code is."""
    from importlib.util import find_spec

    import llvmlite.binding as llvm

    folders = dict.fromkeys([Path(__file__).parent, Path(__file__).parents[1].joinpath(*module.split(".")[1:-1])])
    sources = [path.read_bytes() for folder in folders for path in sorted(folder.glob("*.py"))]
    # The folder of a distribution has its version in its name; to ask for its metadata takes ten times as long.
    places = {name: find_spec(name) for name in ("numba", "llvmlite")}
    versions = [
        path.name.encode()
        for name, place in places.items()
        if place is not None and place.origin
        for path in sorted(Path(place.origin).parents[1].glob(f"{name}-*"))
    ]
    versions.append(sys.version.encode())
    processor = (llvm.get_process_triple(), llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten())
    return store.fingerprint(f"{function} {lanes}", *sources, *versions, *processor)


@contextmanager
def _compiler_enabled() -> Iterator[None]:
    """Let numba compile the drivers although NUMBA_DISABLE_JIT is set; they have no other form."""
    asked = os.environ.pop("NUMBA_DISABLE_JIT", None)
    try:
        from numba import config

        settings: Any = config
        before, settings.DISABLE_JIT = settings.DISABLE_JIT, 0
        try:
            yield
        finally:
            settings.DISABLE_JIT = before if asked is None else asked != "0"
    finally:
        if asked is not None:
            os.environ["NUMBA_DISABLE_JIT"] = asked


def _compile(module: str, function: str, lanes: int) -> tuple[str, bytes, Callable[[], int]]:
    """Name, object code, and a way to the address within numba itself."""
    with _compiler_enabled():
        from isletsim.solver.intrinsics import compile_for

        compiled = compile_for(getattr(import_module(module), function), lanes)
    symbol, library = compiled.fndesc.llvm_func_name, compiled.library
    _KEPT.append(library)
    data = library.serialize_using_object_code()[2][0]
    return symbol, bytes(data), lambda: int(library.get_pointer_to_function(symbol))


def _load(entry: bytes | None) -> int | None:
    """Address of the driver in a cache entry; None when there is none or it is of no use here."""
    if entry is None:
        return None
    import llvmlite.binding as llvm

    head, _, data = entry.partition(b"\n")
    try:
        known = json.loads(head)
        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
        _connect(llvm)
        machine = llvm.Target.from_default_triple().create_target_machine(jit=True)
        engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine)
        engine.add_object_file(llvm.ObjectFileRef.from_data(data))
        engine.finalize_object()
        address = int(engine.get_function_address(known["symbol"]))
    except (ValueError, KeyError, TypeError, RuntimeError, OSError):
        return None
    _KEPT.append(engine)
    return address or None


def _connect(llvm: Any) -> None:
    """Tells LLVM where the C library's functions are (it sees only what was loaded for everybody)."""
    if sys.platform == "win32":
        library = ctypes.CDLL("ucrtbase")
    elif sys.platform.startswith("linux"):
        library = ctypes.CDLL("libm.so.6")
    else:
        library = ctypes.CDLL(None)
    for name in FROM_C:
        llvm.add_symbol(name, ctypes.cast(getattr(library, name), ctypes.c_void_p).value)
