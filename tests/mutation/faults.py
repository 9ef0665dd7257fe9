"""Single-line faults: what one line of code can do wrong, and a seeded draw of them over all lines.

A fault replaces one expression or statement that stands on one line. It is drawn evenly over the lines that can have
one, then evenly over what the line can do wrong.

What cannot matter is left out by rule, never by hand:

* text: docstrings, string constants, f-strings, what is raised, what an assert says; arguments that are labels
* types: annotations, imports, decorators, blocks for type checkers alone; dropped calls that would give another kind of
  thing (``range``, ``len``, ``items``): any test notices those, and none would be written so
* guards: constants up to 1e-5, which keep a division from zero; ``strict=`` and ``dtype=``; names that end in VERSION,
  and sizes of caches
* chance: the constants of a seed
* effort: tables at the top of a module that say for quick, standard and thorough how much is played or drawn: they
  change how narrow an interval is, not what it holds
* order: swapped arguments of functions that are symmetric; ``<`` for ``<=`` where the numbers are not whole
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

TINY = 1e-5
LABELS = {"label", "name", "unit", "title", "role", "strict", "dtype", "maxsize", "encoding", "keepdims", "argument"}
EFFORTS = {"quick", "standard", "thorough"}
SYMMETRIC = {
    "min", "max", "minimum", "maximum", "gcd", "hypot", "add", "multiply", "isclose", "allclose", "_spearman",
    "spearmanr", "rank_correlation", "corrcoef", "array_equal",
}  # fmt: skip
DROPPED = {
    "abs", "absolute", "angle", "arctanh", "ceil", "conj", "conjugate", "cos", "cumsum", "exp", "exp2", "expm1",
    "floor", "log", "log10", "log1p", "log2", "imag", "isfinite", "nan_to_num", "rankdata", "real", "rint", "round",
    "sign", "sin", "sort", "sorted", "sqrt", "square", "tanh", "unwrap", "ravel", "reversed", "normalised", "centred",
}  # fmt: skip
"""Calls that can be forgotten: what they return is of the kind they are given."""
SEEDING = {"default_rng", "SeedSequence", "spawn"}
UNCOUNTED = ("VERSION", "CACHE_BYTES", "_TRIES")

OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.Pow: ast.Mult, ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd, ast.LShift: ast.RShift, ast.RShift: ast.LShift,
}  # fmt: skip
OPPOSITES: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.GtE, ast.LtE: ast.Gt, ast.Gt: ast.LtE, ast.GtE: ast.Lt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
EDGES: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt,
}  # fmt: skip


@dataclass(frozen=True)
class Fault:
    """One line of one module, done wrong."""

    module: str
    line: int
    kind: str
    before: str
    after: str
    place: tuple[int, int]
    """Columns of the expression within its line, in bytes of UTF-8."""

    def apply(self, source: str) -> str:
        """Return the source text with the fault in it."""
        lines = source.split("\n")
        raw = lines[self.line - 1].encode()
        start, end = self.place
        lines[self.line - 1] = (raw[:start] + self.after.encode() + raw[end:]).decode()
        return "\n".join(lines)

    @property
    def name(self) -> str:
        """Where, and what."""
        return f"{self.module}:{self.line} {self.kind}: {self.before} -> {self.after}"


def draw(root: Path, rooms: tuple[str, ...], *, count: int, seed: int, without: str = "") -> list[Fault]:
    """Return ``count`` faults on as many different lines of the modules of ``rooms``, drawn by ``seed``.

    A longer draw begins with the shorter one. ``without`` leaves out modules whose path begins so.
    """
    by_line: dict[tuple[str, int], list[Fault]] = {}
    for path in sorted(each for room in rooms for each in (root / room).rglob("*.py")):
        module = path.relative_to(root).as_posix()
        if without and module.startswith(without):
            continue
        for fault in faults(path.read_text(encoding="utf-8"), module):
            by_line.setdefault((module, fault.line), []).append(fault)
    rng = np.random.default_rng(seed)
    lines = sorted(by_line)
    chosen = rng.permutation(len(lines))[:count]
    # What each line does wrong is drawn for all lines: a longer draw begins with the shorter one.
    which = rng.random(len(lines))
    drawn = [by_line[lines[index]] for index in chosen]
    return [each[int(u * len(each))] for each, u in zip(drawn, which, strict=False)]


def faults(source: str, module: str) -> list[Fault]:
    """Return every fault that the lines of a module can have, in order."""
    tree = ast.parse(source)
    found: list[Fault] = []
    for node, twin, kind in _changed(tree):
        if node.lineno != node.end_lineno or node.end_col_offset is None:
            continue
        before, after = ast.unparse(node), ast.unparse(twin)
        if before != after:
            # What was an operand may bind less tightly in its new place.
            text = f"({after})" if isinstance(twin, ast.expr) and not isinstance(twin, _TIGHT) else after
            found.append(Fault(module, node.lineno, kind, before, text, (node.col_offset, node.end_col_offset)))
    return found


_TIGHT = (ast.Constant, ast.Name, ast.Call, ast.Attribute, ast.Subscript)


Change = tuple[ast.expr | ast.stmt, ast.AST, str]


def _changed(node: ast.AST) -> Iterator[Change]:
    """Yield (what stands there, what would stand there, kind of fault) for all of a tree but what is left out."""
    for child in _reached(node):
        if isinstance(child, ast.expr | ast.stmt):
            yield from _faults_of(child)
        yield from _changed(child)


def _reached(node: ast.AST) -> Iterator[ast.AST]:
    """The children of a node in which a fault could be noticed."""
    match node:
        case ast.Raise() | ast.Assert() | ast.JoinedStr() | ast.Import() | ast.ImportFrom():
            return
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            yield from (each for each in (*node.args.defaults, *node.args.kw_defaults) if each is not None)
            yield from node.body
        case ast.ClassDef():
            yield from node.body
        case ast.Lambda():
            yield node.body
        case ast.AnnAssign():
            if node.value is not None and not _uncounted(node.target) and not _is_effort(node.value):
                yield node.value
        case ast.Assign():
            left_out = any(_uncounted(each) or ast.unparse(each) == "__all__" for each in node.targets)
            if not left_out and not _is_effort(node.value):
                yield node.value
        case ast.If() if "TYPE_CHECKING" in ast.unparse(node.test):
            return
        case ast.Call():
            if _called(node) in SEEDING:
                return
            yield node.func
            yield from node.args
            yield from (each.value for each in node.keywords if each.arg not in LABELS)
        case ast.Subscript() if _is_type(node):
            return
        case _:
            yield from ast.iter_child_nodes(node)


def _faults_of(node: ast.expr | ast.stmt) -> Iterator[Change]:
    match node:
        case ast.BinOp(left, op, right) if type(op) in OPERATORS and not _is_text(left) and not _is_type(node):
            yield node, ast.BinOp(left, OPERATORS[type(op)](), right), "operator"
        case ast.AugAssign(target, op, value) if type(op) in OPERATORS:
            yield node, ast.AugAssign(target, OPERATORS[type(op)](), value), "operator"
        case ast.Compare(left, [op], [right]):
            yield node, ast.Compare(left, [OPPOSITES[type(op)]()], [right]), "condition"
            if type(op) in EDGES and (_is_whole(left) or _is_whole(right)):
                yield node, ast.Compare(left, [EDGES[type(op)]()], [right]), "edge"
        case ast.BoolOp(op, values):
            yield node, ast.BoolOp(ast.Or() if isinstance(op, ast.And) else ast.And(), values), "operator"
        case ast.UnaryOp(op, operand) if isinstance(op, ast.USub | ast.Not | ast.Invert):
            yield node, operand, "sign" if isinstance(op, ast.USub) else "condition"
        case ast.Constant(value) if isinstance(value, bool):
            yield node, ast.Constant(not value), "constant"
        case ast.Constant(value) if isinstance(value, int):
            yield node, ast.Constant(value + 1), "off by one"
            if value > 0:
                yield node, ast.Constant(value - 1), "off by one"
        case ast.Constant(value) if isinstance(value, float) and (value == 0.0 or abs(value) > TINY):
            yield node, ast.Constant(value * 1.5 if value else 1.0), "constant"
        case ast.Call():
            yield from _faulty_calls(node)
        case ast.Expr(ast.Call()):
            yield node, ast.Expr(ast.Constant(...)), "dropped statement"
        case ast.If(test) | ast.IfExp(test) | ast.While(test):
            if not isinstance(test, ast.Compare) and "TYPE_CHECKING" not in ast.unparse(test):
                yield test, ast.UnaryOp(ast.Not(), test), "condition"
        case ast.IfExp() | ast.Return(None):
            return


def _faulty_calls(node: ast.Call) -> Iterator[Change]:
    name = _called(node)
    plain = [each for each in node.args if not isinstance(each, ast.Starred)]
    if name in DROPPED and len(node.args) == len(plain) == 1 and not node.keywords:
        yield node, plain[0], "dropped call"
    elif name in DROPPED and not node.args and not node.keywords and isinstance(node.func, ast.Attribute):
        yield node, node.func.value, "dropped call"
    swappable = len(plain) >= 2 and len(plain) == len(node.args) and name not in SYMMETRIC | {"isinstance", "zip"}
    if swappable and not any(_is_text(each) or ast.unparse(each) == "rng" for each in plain[:2]):
        swapped = [plain[1], plain[0], *plain[2:]]
        yield node, ast.Call(node.func, swapped, node.keywords), "swapped arguments"


def _called(node: ast.Call) -> str:
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


def _uncounted(target: ast.AST) -> bool:
    return ast.unparse(target).endswith(UNCOUNTED)


def _is_effort(node: ast.expr) -> bool:
    """Whether a table says how much is done at each effort."""
    keys = node.keys if isinstance(node, ast.Dict) else []
    return {each.value for each in keys if isinstance(each, ast.Constant)} >= EFFORTS


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))


def _is_whole(node: ast.expr) -> bool:
    counted = isinstance(node, ast.Call) and _called(node) in ("len", "sum", "int", "round")
    return counted or (isinstance(node, ast.Constant) and isinstance(node.value, int))


_TYPES = {"NDArray", "Callable", "Mapping", "Sequence", "Iterator", "Iterable", "Generator", "dict", "list", "tuple"}


def _is_type(node: ast.AST) -> bool:
    """Whether an expression is an alias of types: ``Floats = NDArray[np.float64]``, ``Source = Tone | Noise``."""
    if isinstance(node, ast.Subscript):
        return ast.unparse(node.value).split(".")[-1] in _TYPES
    parts = [each for each in ast.walk(node) if isinstance(each, ast.Name | ast.Attribute | ast.Constant)]
    names = [ast.unparse(each).split(".")[-1] for each in parts]
    return bool(names) and all(each == "None" or (each[:1].isupper() and not each.isupper()) for each in names)
