"""What a misbehaviour of the zoo is expected to come to, beside the misbehaviour itself."""

import ast
import os
import sys


def expect(outcome, cause=None, leaked=0, told=(), since=None, told_since_311=()):
    """Say what the runner is to make of a test: its outcome, the cause of that, how many handles it
    leaves behind, and texts that are to stand in the report (some from Python 3.11 on). *since* is
    the Python version before which it is skipped."""
    return lambda test: test


def model(directory):
    """Every test of the zoo in *directory*, by its id: what is expected of it.

    Read off the sources, since importing some of them would end this process. A module whose
    import misbehaves says what is expected of it in a list ``EXPECTED``.
    """
    expected = {}
    for name in sorted(os.listdir(directory)):
        if name.startswith("zoo_") and name.endswith(".py"):
            with open(os.path.join(directory, name), encoding="utf-8") as file:
                tree = ast.parse(file.read())
            expected.update(_model_of_module(name.removesuffix(".py"), tree))
    return expected


def _model_of_module(module, tree):
    for node in tree.body:
        if isinstance(node, ast.Assign) and node.targets[0].id == "EXPECTED":
            for test_id, outcome, cause, *_ in ast.literal_eval(node.value):
                yield test_id, {"outcome": outcome, "cause": cause, "leaked": 0, "told": ()}
        if isinstance(node, ast.ClassDef):
            for inner in node.body:
                yield from _model_of_method(f"{module}.{node.name}", inner)


def _model_of_method(class_id, node):
    for decorator in getattr(node, "decorator_list", ()):
        if isinstance(decorator, ast.Call) and getattr(decorator.func, "id", None) == "expect":
            arguments = [ast.literal_eval(one) for one in decorator.args]
            named = {one.arg: ast.literal_eval(one.value) for one in decorator.keywords}
            bound = dict(zip(("outcome", "cause", "leaked", "told"), arguments, strict=False), **named)
            if bound.pop("since", (3,)) > sys.version_info:
                bound = {"outcome": "skipped"}
            more = bound.pop("told_since_311", ())
            if sys.version_info >= (3, 11) and more:
                bound["told"] = (*bound["told"], *more)
            name = node.name if node.name.startswith("test") else None
            test_id = f"{class_id}.{name}" if name else f"{node.name} ({class_id})"
            yield test_id, {"cause": None, "leaked": 0, "told": (), **bound}
