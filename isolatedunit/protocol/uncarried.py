"""What no call carries to another process, and the words about it: which variable holds it, and why that is so."""

from __future__ import annotations

import _thread
import collections
import dis
import functools
import io
import os
import pickle
import sys
import types
from collections.abc import Callable, Iterator, Sequence
from typing import Any
from weakref import WeakKeyDictionary

from isolatedunit.errors import CarryError

MAIN = ("__main__", "__mp_main__")
"""The names of a program's main module; the second one is its name in a worker of multiprocessing."""

_LOCK = type(_thread.allocate_lock())
_SAVE = pickle._Pickler.save.__code__  # type: ignore[attr-defined]

_EMPTIES = "opening it anew could empty it"
_GUARDS_NOTHING = "a copy of it would guard nothing"
_OF_A_FAMILY = "only processes that multiprocessing starts may reach its manager"
_STAYS = "it works only in the process that made it"

_CANNOT = ("cannot pickle", "can't pickle", "can't serialize")
"""How Python and dill begin to say that they have no way to pickle an object."""

_GLOBAL_OPERATIONS = frozenset(
    {"LOAD_GLOBAL", "STORE_GLOBAL", "DELETE_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS"}
)
_names: WeakKeyDictionary[types.CodeType, tuple[str, ...]] = WeakKeyDictionary()


class _Refused(Exception):
    """Raised inside of a pickler for an object that must not be carried."""

    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(reason)
        self.kind = kind


class Step:
    """One step on the way to an object.

    *kind* is ``item``, ``attribute`` or ``part``; for a variable of *function* ``global``, ``closure`` or ``default``;
    ``lost`` where the way cannot be told. *name* is the key or the name.
    """

    def __init__(self, kind: str, name: Any, function: str = "") -> None:
        self.kind = kind
        self.name = name
        self.function = function


_LOST = Step("lost", "(...)")

_VARIABLES = {
    "global": "the global variable {name} of {function}",
    "closure": "the variable {name} of the function around {function}",
    "default": "the default for {name} of {function}",
}


def format_steps(steps: Sequence[Step]) -> str:
    """The way as text, such as ``the global variable settings['log'] of check``; empty if there are no steps."""
    at = max((number for number, step in enumerate(steps) if step.function), default=-1)
    labels = "".join(map(_label, steps[at + 1 :]))
    if at < 0:
        return "something in it" if labels == _label(_LOST) else f"its {labels}" if labels else ""
    variable = steps[at]
    return _VARIABLES[variable.kind].format(name=f"{variable.name}{labels}", function=variable.function)


def _label(step: Step) -> str:
    return f"[{step.name!r:.40}]" if step.kind == "item" else f".{step.name}"


def about(error: CarryError, steps: Sequence[Step]) -> str:
    """What is at the end of these last steps of the error's, and why it cannot be carried."""
    way = format_steps(steps)
    return f"{way} is {error.kind}: {error.reason}" if way else error.reason


def explain(exception: Exception, *, answers: bool = False) -> CarryError:
    """Find out from its traceback which object made pickling fail, and on which way it was reached.

    With *answers* it is something that a function returns or sends.
    """
    chain = list(_saved_at(exception))
    steps = tuple(_steps(chain))
    reason = str(exception) or type(exception).__name__
    kind = _article(type(chain[-1]).__qualname__) if chain else "it"
    if isinstance(exception, RecursionError):
        steps, reason = (), "it is nested too deeply to be pickled"
    elif isinstance(exception, _Refused) or reason.startswith(_CANNOT):
        kind = getattr(exception, "kind", kind)
        reason += "; send what is in it instead" if answers else "; make it in the function that uses it"
    error = CarryError(reason, steps=steps, kind=kind)
    error.args = (about(error, steps),)
    return error


def _saved_at(exception: BaseException) -> Iterator[Any]:
    """What was being pickled when the exception was raised: the outermost object first."""
    trace = exception.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code is _SAVE:
            yield trace.tb_frame.f_locals["obj"]
        trace = trace.tb_next


def _saved_now() -> list[Any]:
    """What is being pickled: the outermost object first."""
    frame: Any = sys._getframe(1)
    found = []
    while frame is not None:
        if frame.f_code is _SAVE:
            found.append(frame.f_locals["obj"])
        frame = frame.f_back
    return found[::-1]


def _steps(chain: Sequence[Any]) -> Iterator[Step]:
    """The steps along the chain. What the pickler itself made on the way, such as an object's state, is none."""
    at = 0
    while at < len(chain) - 1:
        following = range(at + 1, len(chain))
        found = next(((step, to) for to in following for step in _step(chain[at], chain[to])), None)
        if found is None:
            yield _LOST
            at = next((to for to in following if isinstance(chain[to], types.FunctionType)), len(chain))
        else:
            step, at = found
            yield step


def _step(holder: Any, held: Any) -> Iterator[Step]:
    """How *holder* refers to *held*: no step if it does not."""
    for kind, name, value in _content_of(holder):
        if value is held:
            function = holder.__qualname__ if kind in _VARIABLES else ""
            yield Step(kind, name, function)
            return


def _content_of(holder: Any) -> Iterator[tuple[str, Any, Any]]:
    """What *holder* refers to: the kind and the name of the step, and the object."""
    if isinstance(holder, types.FunctionType):
        yield from _variables_of(holder)
    elif isinstance(holder, (types.MethodType, types.BuiltinMethodType)):
        yield from (("part", name, getattr(holder, name, None)) for name in ("__self__", "__func__"))
    elif isinstance(holder, (functools.partial, BaseException)):
        yield "part", "func", getattr(holder, "func", None)
        yield from (("part", f"args[{number}]", item) for number, item in enumerate(holder.args))
        yield from (("part", f"keywords[{name!r}]", item) for name, item in getattr(holder, "keywords", {}).items())
    elif type(holder) in (list, tuple, collections.deque):
        yield from (("item", number, item) for number, item in enumerate(holder))
    elif isinstance(holder, dict):
        yield from (("item", key, value) for key, value in holder.items())
    elif isinstance(holder, property):
        yield from (("part", name, getattr(holder, name)) for name in ("fget", "fset", "fdel"))
    if isinstance(holder, (staticmethod, classmethod)):
        yield "part", "__func__", holder.__func__
    content = getattr(holder, "__dict__", {})
    yield from (("attribute", name, value) for name, value in list(content.items()))
    for name in getattr(type(holder), "__slots__", ()):
        yield "attribute", name, getattr(holder, name, None)
    yield "part", "__class__", type(holder)


def _variables_of(function: Any) -> Iterator[tuple[str, Any, Any]]:
    code = function.__code__
    for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=False):
        try:
            yield "closure", name, cell.cell_contents
        except ValueError:  # it has no value yet
            continue
    for name in global_names(code):
        yield "global", name, function.__globals__.get(name)
    parameters = code.co_varnames[: code.co_argcount]
    for name, value in zip(reversed(parameters), reversed(function.__defaults__ or ()), strict=False):
        yield "default", name, value
    for name, value in (function.__kwdefaults__ or {}).items():
        yield "default", name, value


def global_names(code: types.CodeType) -> tuple[str, ...]:
    """The globals that the code names, and the functions, classes and comprehensions in it."""
    known = _names.get(code)
    if known is None:
        found = dict.fromkeys(
            instruction.argval for instruction in dis.get_instructions(code) if instruction.opname in _GLOBAL_OPERATIONS
        )
        for constant in code.co_consts:
            if isinstance(constant, types.CodeType):
                found.update(dict.fromkeys(global_names(constant)))
        known = _names[code] = tuple(found)
    return known


# ---- what is refused

_Saver = Callable[[Any, Any], None]


def savers() -> dict[type, _Saver]:
    """For each type that must not be carried, or not as it is, what a pickler calls to save one."""
    found: dict[type, _Saver] = dict.fromkeys(_file_types(), _save_file)
    found[_LOCK] = found[_thread.RLock] = _save_lock
    for module, names, saver in _OTHERS:
        place = sys.modules.get(module)
        found.update((getattr(place, name), saver) for name in names if isinstance(getattr(place, name, None), type))
    return found


def inherited_saver(cls: type, found: dict[type, _Saver]) -> _Saver | None:
    """What saves an object of a class derived from one of *found*; None if the class says itself how it is pickled."""
    base = next((base for base in cls.__mro__ if base in found), None)
    if base is None or any(getattr(cls, name, None) is not getattr(base, name, None) for name in _SAY_HOW):
        return None
    return found[base]


_SAY_HOW = ("__reduce__", "__reduce_ex__", "__getstate__")


def _file_types() -> Iterator[type]:
    for module in (io, sys.modules.get("_pyio")):
        for name in ("TextIOWrapper", "BufferedReader", "BufferedWriter", "BufferedRandom", "BufferedRWPair", "FileIO"):
            if module is not None:
                yield getattr(module, name)


def _save_file(pickler: Any, file: Any) -> None:
    for name in ("stdin", "stdout", "stderr"):
        for stream in (getattr(sys, name), getattr(sys, f"__{name}__")):
            if file is stream and stream is not None:
                pickler.save_reduce(getattr, (sys, name), obj=file)
                return
    path = getattr(file, "name", None)
    named = f" ({os.fsdecode(path)!r})" if isinstance(path, (str, bytes)) else ""
    raise _Refused(f"{'a closed' if file.closed else 'an open'} file{named}", _EMPTIES)


def _save_lock(pickler: Any, lock: Any) -> None:
    """Refuse a lock that is a variable of its own; that of an object becomes a free one, for the object's copy."""
    _refuse_variable("a lock")
    pickler.save_reduce(_thread.allocate_lock if type(lock) is _LOCK else _thread.RLock, (), obj=lock)


def _save_tool(pickler: Any, tool: Any) -> None:
    """Save what threads share, in the same way as a lock."""
    _refuse_variable(_article(type(tool).__qualname__))
    pickler.save_reduce(*tool.__reduce_ex__(4), obj=tool)


def _save_shared_memory(pickler: Any, memory: Any) -> None:
    """Save shared memory so that a call only attaches to it; what a call makes itself ends with its process."""
    made_of = memory.__reduce_ex__(4)
    pickler.save_reduce(*(made_of if pickler.answers else (attach, made_of[:2])), obj=memory)


def attach(make: Callable[..., Any], args: tuple[Any, ...]) -> Any:
    """Attach to shared memory of the caller's.

    Trap: `multiprocessing` also notes what a process only attaches to, and destroys it at the end of that process.
    """
    from multiprocessing import resource_tracker

    register = resource_tracker.register
    resource_tracker.register = lambda *_: None
    try:
        return make(*args)
    finally:
        resource_tracker.register = register


def _refuse_variable(kind: str) -> None:
    if not any(step.kind in ("attribute", "lost") for step in _steps(_saved_now())):
        raise _Refused(kind, _GUARDS_NOTHING)


def _refuse(_: Any, thing: Any) -> None:
    raise _Refused(_article(type(thing).__qualname__), _STAYS)


def _refuse_proxy(_: Any, proxy: Any) -> None:
    """Refuse a proxy: it would be made anew without the key, and fail when it is used first."""
    raise _Refused(_article(type(proxy).__qualname__), _OF_A_FAMILY)


_OTHERS: tuple[tuple[str, tuple[str, ...], _Saver], ...] = (
    ("threading", ("Condition", "Event", "Semaphore", "BoundedSemaphore", "Barrier"), _save_tool),
    ("queue", ("Queue", "LifoQueue", "PriorityQueue"), _save_tool),
    ("asyncio.locks", ("Lock", "Condition", "Event", "Semaphore", "BoundedSemaphore"), _save_tool),
    ("asyncio.queues", ("Queue", "LifoQueue", "PriorityQueue"), _save_tool),
    ("multiprocessing.shared_memory", ("SharedMemory", "ShareableList"), _save_shared_memory),
    ("threading", ("Thread",), _refuse),
    ("multiprocessing.connection", ("Connection",), _refuse),  # the number of a descriptor, which its copy closes
    ("multiprocess.connection", ("Connection",), _refuse),
    ("multiprocessing.managers", ("BaseProxy",), _refuse_proxy),
    ("multiprocess.managers", ("BaseProxy",), _refuse_proxy),
    ("multiprocessing.managers", ("BaseManager",), _refuse),
    ("multiprocess.managers", ("BaseManager",), _refuse),
    ("subprocess", ("Popen",), _refuse),
    ("multiprocessing.process", ("BaseProcess",), _refuse),
    ("multiprocess.process", ("BaseProcess",), _refuse),
    ("concurrent.futures", ("Executor", "Future"), _refuse),
    ("asyncio.events", ("AbstractEventLoop",), _refuse),
    ("ctypes", ("CDLL",), _refuse),
    ("isolatedunit.sdk.instance", ("TestInstance",), _refuse),
    ("isolatedunit.sdk.factory", ("TestSDK",), _refuse),
    ("isolatedunit.handles.tracker", ("HandleTracker",), _refuse),
    ("logging", ("FileHandler",), _refuse),  # which opens its file when it first writes, if it is asked to
    ("dbm.dumb", ("_Database",), _refuse),  # writes its index when it is freed
    ("shelve", ("Shelf",), _refuse),
)
"""Types of other modules, which are looked up if they have been imported, and what saves their objects."""


def _article(noun: str) -> str:
    return f"{'an' if noun[:1] in 'AEIOUaeiou' else 'a'} {noun}"
