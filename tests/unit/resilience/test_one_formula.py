"""One calculator makes all delays that grow, and all jitter: a second formula would drift away from the first."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import backburner

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(backburner.__file__).parent
#: The calculator itself, and the published suite, whose numbers are examples.
APART = (ROOT / "resilience" / "backoff.py", ROOT / "testing" / "contracts")

#: What looks like a formula and is none, with the reason; by file and expression.
ALLOWED = {
    ("scheduler/timetable.py", "phase, step = (phase + leap * step, math.lcm(step, interval))"): "when intervals meet",
    ("scheduler/timetable.py", "pow(step // shared, -1, interval // shared)"): "an inverse, modulo an interval",
    ("resilience/breaker.py", "policy.probes << state.step"): "slots of a ramp, not a delay",
    ("jobs/settler.py", "self._most = min(BATCH, self._most * 2)"): "the size of a batch, not a delay",
    ("backends/postgres/watch.py", "self._random.uniform(1 - _SPREAD, 1 + _SPREAD)"): "a period, after no failure",
    ("backends/redis/notifier.py", "self._random.uniform(1 - _JITTER, 1 + _JITTER)"): "a period, after no failure",
}

POWERS = {"pow", "exp", "exp2", "expm1", "ldexp"}
DRAWS = {
    "random",
    "uniform",
    "triangular",
    "expovariate",
    "gauss",
    "normalvariate",
    "betavariate",
    "randint",
    "randrange",
}
#: Names of what counts failures: a product with one is a linear backoff.
COUNTS = re.compile(r"(attempts?|failures?|tries|retries|openings|streak)$")
#: The same in SQL and Lua.
TEXT = re.compile(
    r"\b(?:power|pow|exp|ldexp|random)\s*\(|\w\s*\^\s*\w|<<\s*\w+\s*[^>\w\s]"
    r"|\b(\w+)\s*:?=\s*[^;\n]*\b\1\s*\*|\b(\w+)\s*:?=\s*[^;\n]*\*\s*\2\b"
    r"|\w*(?:attempts?|failures?|tries|retries)\s*\*\s*\w|\*\s*\w*(?:attempts?|failures?|tries|retries)\b"
)


def is_constant(node: ast.expr) -> bool:
    """Tell whether an operand is a number, or a name in capitals."""
    return isinstance(node, ast.Constant) or (isinstance(node, ast.Name) and node.id.isupper())


def name_of(node: ast.expr) -> str:
    """Return the last name of a variable or attribute."""
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case _:
            return ""


def grows(node: ast.AST) -> bool:
    """Tell whether an expression raises to a power, counts failures into a product, or draws at random."""
    match node:
        case ast.BinOp(op=ast.Pow() | ast.LShift()):
            return not (is_constant(node.left) and is_constant(node.right))
        case ast.BinOp(op=ast.Mult()):
            return any(COUNTS.search(name_of(side)) for side in (node.left, node.right))
        case ast.Call():
            return name_of(node.func) in POWERS | DRAWS
        case ast.AugAssign(op=ast.Mult() | ast.Pow() | ast.LShift()):
            return True
        case _:
            return False


def multiplies_itself(node: ast.AST) -> bool:
    """Tell whether a variable is set to a multiple of itself."""
    match node:
        case ast.Assign(targets=targets, value=value):
            pass
        case ast.AnnAssign(target=target, value=ast.expr() as value) | ast.NamedExpr(target=target, value=value):
            targets = [target]
        case _:
            return False
    names = {
        ast.unparse(part) for target in targets for part in (target.elts if isinstance(target, ast.Tuple) else [target])
    }
    products = (part for part in ast.walk(value) if isinstance(part, ast.BinOp) and isinstance(part.op, ast.Mult))
    return any(names & {ast.unparse(product.left), ast.unparse(product.right)} for product in products)


def formulas(source: str) -> Iterator[str]:
    """Yield what looks like a backoff's formula in Python."""
    for node in ast.walk(ast.parse(source)):
        if grows(node) or multiplies_itself(node):
            yield ast.unparse(node)


def found() -> set[tuple[str, str]]:
    """Return what looks like one in the package, by file and expression."""
    files = [path for path in sorted(ROOT.rglob("*.py")) if not any(path.is_relative_to(apart) for apart in APART)]
    assert len(files) > 100
    return {(path.relative_to(ROOT).as_posix(), formula) for path in files for formula in formulas(path.read_text())}


def test_there_is_no_second_formula() -> None:
    """Neither a power, nor a doubling, nor a product with a count of failures, nor jitter stands anywhere else."""
    assert found() - ALLOWED.keys() == set(), "ask backburner.resilience.backoff for the delay"


def test_every_exception_is_still_needed() -> None:
    """An allowance whose line has gone goes too."""
    assert ALLOWED.keys() - found() == set()


def test_no_store_has_a_formula() -> None:
    """Stores move rows, the engine decides: delays come to SQL and Lua as numbers."""
    files = sorted([*ROOT.rglob("*.sql"), *ROOT.rglob("*.lua")])
    assert len(files) > 100
    for path in files:
        code = re.sub(r"--.*|'(?:[^'\n]|'')*'|\"[^\"\n]*\"", "", path.read_text())
        assert [match[0] for match in TEXT.finditer(code)] == [], path.relative_to(ROOT)


@pytest.mark.parametrize(
    "source",
    [
        "delay = base * 2 ** attempt",
        "delay = base * factor ** n",
        "delay = base << tries",
        "delay = math.pow(2, n)",
        "delay *= 2",
        "delay = min(cap, delay * 2)",
        "self._wait = min(10, 2 * self._wait)",
        "delay, last = min(cap, delay * 3), delay",
        "delay = 0.5 * self._failures",
        "delay = job.attempt * 10",
        "delay = delay * random.uniform(0.5, 1)",
        "delay = random.random() * cap",
    ],
)
def test_what_it_would_find(source: str) -> None:
    """The usual ways to write one."""
    assert list(formulas(source))


@pytest.mark.parametrize("source", ["most = 2**53", "bits = 1 << _BITS", "area = width * height", "total += delay"])
def test_what_it_lets_pass(source: str) -> None:
    """Constants, and products of other things."""
    assert not list(formulas(source))


@pytest.mark.parametrize(
    "text",
    [
        "SELECT base * power(2, n)",
        "delay = base * 2 ^ attempt",
        "v_delay := v_delay * 2;",
        "local delay = math.pow(2, n)",
        "wait = least(wait * 2, cap)",
        "due = now + job.failures * 10",
        "due = now + 10 * attempt",
        "now() + random() * interval",
    ],
)
def test_what_it_would_find_in_a_store(text: str) -> None:
    """The usual ways, in SQL and Lua."""
    assert TEXT.search(text)
