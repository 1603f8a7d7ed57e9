"""Writes a suite with many kinds of state by which a test can depend on another one, besides the usual ones."""

from __future__ import annotations

import os
from typing import NamedTuple

SHOP = """\
import abc, collections, contextvars, functools, os


class Meta(type):
    level = 1


class Price(metaclass=Meta):
    rate = 1.0
    old = 1.0
    tags = ["a"]

    def total(self):
        return 1


class Shape(abc.ABC):
    pass


class Slotted:
    __slots__ = ("value",)


class Shop:
    pass


def make_counter():
    count = 0

    def counter():
        nonlocal count
        count += 1
        return count

    return counter


def takes(item, known=[]):
    known.append(item)
    return len(known)


def names(item, *, known=[]):
    known.append(item)
    return len(known)


@functools.lru_cache
def region():
    return source


source, removed = "north", 1
shop, slotted, counter = Shop(), Slotted(), make_counter()
shop.open, shop.parts, slotted.value = True, [], 1
deep = {"a": {"b": {"c": {"d": 1}}}}
kinds, queue, nested = {1}, collections.deque([1]), [[1]]
ordered, counts = collections.OrderedDict(a=1), collections.defaultdict(int)
variable = contextvars.ContextVar("variable", default=1)
os.environ["SHOP_MODE"] = "usual"
"""


class Kind(NamedTuple):
    """What the polluter *does*, what the victim *checks*, and a part of the name that the state is given."""

    name: str
    does: str
    checks: str
    where: str


KINDS = (
    Kind("new_attribute", "shop.extra = 1", "assert not hasattr(shop, 'extra')", "shop.extra"),
    Kind("removed_attribute", "del shop.removed", "shop.removed", "shop.removed"),
    Kind("new_class_attribute", "shop.Price.extra = 1", "assert not hasattr(shop.Price, 'extra')", "shop.Price.extra"),
    Kind("removed_class_attribute", "del shop.Price.old", "shop.Price.old", "shop.Price.old"),
    Kind(
        "method",
        "shop.Price.total = lambda self: 2",
        "self.assertEqual(shop.Price().total(), 1)",
        "shop.Price.total",
    ),
    Kind("class_list", 'shop.Price.tags.append("b")', "assert len(shop.Price.tags) == 1", "shop.Price.tags"),
    Kind("metaclass", "shop.Meta.level = 2", "assert shop.Price.level == 1", "shop.Meta.level"),
    Kind("instance", "shop.shop.open = False", "assert shop.shop.open", "shop.shop.open"),
    Kind("list_of_instance", "shop.shop.parts.append(1)", "assert not shop.shop.parts", "shop.shop.parts"),
    Kind("deep", 'shop.deep["a"]["b"]["c"]["d"] = 2', 'assert shop.deep["a"]["b"]["c"]["d"] == 1', "shop.deep['a']"),
    Kind("set", "shop.kinds.add(2)", "assert shop.kinds == {1}", "shop.kinds"),
    Kind("deque", "shop.queue.append(2)", "assert len(shop.queue) == 1", "shop.queue"),
    Kind("nested", "shop.nested[0].append(2)", "assert shop.nested == [[1]]", "shop.nested[0]"),
    Kind("default_argument", "shop.takes(1)", "assert shop.takes(1) == 1", "shop.takes.__defaults__[0]"),
    Kind("keyword_default", "shop.names(1)", "assert shop.names(1) == 1", "shop.names.__kwdefaults__['known']"),
    Kind("closure", "shop.counter()", "assert shop.counter() == 1", "shop.counter.__closure__[0]"),
    Kind("function", "shop.takes.called = 1", "assert not hasattr(shop.takes, 'called')", "shop.takes.called"),
    Kind(
        "cache",
        'shop.source = "south"; shop.region(); shop.source = "north"',
        "assert shop.region() == 'north'",
        "shop.region",
    ),
    Kind("ordered", 'shop.ordered["b"] = 1', "assert len(shop.ordered) == 1", "shop.ordered"),
    Kind("default_dict", 'shop.counts["a"] += 1', "assert not shop.counts", "shop.counts"),
    Kind("slots", "shop.slotted.value = 2", "assert shop.slotted.value == 1", "shop.slotted.value"),
    Kind("registry", "shop.Shape.register(int)", "assert not isinstance(1, shop.Shape)", "shop.Shape"),
    Kind("builtin", "builtins.extra = 1", "assert not hasattr(builtins, 'extra')", "builtins.extra"),
    Kind("sys_path", 'sys.path.append("/nowhere")', "assert '/nowhere' not in sys.path", "sys.path"),
    Kind("handler", "logging.root.addHandler(logging.NullHandler())", "assert not logging.root.handlers", "handlers"),
    Kind("signal", "signal.signal(signal.SIGUSR1, print)", "assert not signal.getsignal(signal.SIGUSR1)", "SIGUSR1"),
    Kind("umask", "os.umask(0o111)", "mask = os.umask(0o111); os.umask(mask); assert mask != 0o111", "umask"),
    Kind("timeout", "socket.setdefaulttimeout(3)", "assert socket.getdefaulttimeout() is None", "timeout"),
    Kind("decimal", "decimal.getcontext().prec = 5", "assert decimal.getcontext().prec != 5", "decimal"),
    Kind("collector", "gc.disable()", "assert gc.isenabled()", "garbage collector"),
    Kind("thresholds", "gc.set_threshold(5)", "assert gc.get_threshold()[0] != 5", "thresholds of gc"),
    Kind("switch", "sys.setswitchinterval(0.5)", "assert sys.getswitchinterval() < 0.5", "switch interval"),
    Kind(
        "zone",
        'os.environ["TZ"] = "Asia/Tokyo"; time.tzset()',
        "assert time.timezone != -9 * 3600",
        "time zone",
    ),
    Kind("variable", 'os.environ["SHOP_MODE"] = "x"', "assert os.environ['SHOP_MODE'] == 'usual'", "SHOP_MODE"),
)

_HEAD = """\
import builtins, decimal, gc, logging, os, signal, socket, sys, time, unittest
import shop


class {}(unittest.TestCase):
"""


def write(directory: str) -> None:
    """Write a test for each kind that changes state, and one that depends on it."""
    tests = {"test_does": [(kind.name, kind.does) for kind in KINDS]}
    tests["test_needs"] = [(kind.name, kind.checks) for kind in KINDS]
    with open(os.path.join(directory, "shop.py"), "w", encoding="utf-8") as file:
        file.write(SHOP)
    for module, bodies in tests.items():
        with open(os.path.join(directory, f"{module}.py"), "w", encoding="utf-8") as file:
            file.write(_HEAD.format(module.title().replace("_", "")))
            file.write("".join(f"    def test_{name}(self):\n        {body}\n\n" for name, body in bodies))
