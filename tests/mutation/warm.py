"""A process that has collected every test and run none. For each change it forks, gives the changed
functions their new code, and runs only the tests named: nothing is loaded twice.

Only changes inside functions can be made so; what runs when a module is loaded (constants,
defaults, classes) needs a process that loads it, and so does what tests compute on being imported.
"""

from __future__ import annotations

import ast
import contextlib
import gc
import inspect
import marshal
import os
import shutil
import signal
import sys
from collections.abc import Sequence
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any, Final

import pytest

from tests.mutation.reach import cached
from tests.mutation.running import PATIENCE, ended, inside

#: File, dotted name and first line: which function some code is of.
Key = tuple[str, str, int]
#: Exit code where the functions could not be given their code.
BROKEN: Final = 71
#: Times the CPU that a test takes unchanged, and seconds more, after which it does not end.
_SLOWER: Final = 10.0
_MORE: Final = 2.0
#: Seconds of wall time more, for one that waits for what never comes.
_WAIT: Final = 60.0


def changed_functions(before: str, after: str, path: str) -> dict[Key, CodeType] | None:
    """The new code of every function that differs; None where more than functions does."""
    old, new = compile(before, path, "exec"), compile(after, path, "exec")
    found: dict[Key, CodeType] = {}
    return found if _differ(old, new, found) else None


def _differ(old: CodeType, new: CodeType, found: dict[Key, CodeType]) -> bool:
    """Whether all that differs of two bodies of modules or classes is inside their functions."""
    if _shell(old) != _shell(new):
        return False
    for one, other in zip(_inner(old), _inner(new), strict=True):
        if one == other:
            continue
        if not one.co_flags & inspect.CO_NEWLOCALS:  # the body of a class
            if not _differ(one, other, found):
                return False
        elif one.co_name.startswith("<") and one.co_name != "<lambda>":
            return False  # a comprehension, which runs where it stands
        else:
            _all_of(one, other, found)
    return True


def _all_of(old: CodeType, new: CodeType, found: dict[Key, CodeType]) -> None:
    """A function and those within it."""
    found[old.co_filename, old.co_qualname, old.co_firstlineno] = new
    olds, news = _inner(old), _inner(new)
    for one, other in zip(olds, news, strict=False):
        if one != other and one.co_qualname == other.co_qualname:
            _all_of(one, other, found)


def _shell(code: CodeType) -> tuple[Any, ...]:
    consts = [("code", one.co_qualname) if isinstance(one, CodeType) else (type(one), repr(one))
              for one in code.co_consts]  # fmt: skip
    return code.co_code, consts, code.co_names


def _inner(code: CodeType) -> list[CodeType]:
    return [one for one in code.co_consts if isinstance(one, CodeType)]


class _Server:
    """A plugin of pytest: where it would run the tests, it runs some of them again and again."""

    def __init__(self, asked: Connection) -> None:
        self._asked = asked
        self._seconds: dict[str, float] = {}

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> None:
        """A test that does not end ends the process."""
        usual = self._seconds.get(item.nodeid, 0.0)
        signal.setitimer(signal.ITIMER_PROF, _MORE + _SLOWER * usual)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> object:
        """Until nobody asks for more."""
        caches = cached()
        functions: dict[Key, list[FunctionType]] = {}
        for one in gc.get_objects():
            if isinstance(one, FunctionType):
                code = one.__code__
                key = code.co_filename, code.co_qualname, code.co_firstlineno
                functions.setdefault(key, []).append(one)
        items = {item.nodeid: item for item in session.items}
        gc.collect()
        gc.freeze()
        self._asked.send(len(items))
        with contextlib.suppress(EOFError):
            while True:
                codes, self._seconds = self._asked.recv()
                child = os.fork()
                if child == 0:
                    self._child(session, items, caches, functions, codes)
                most = _WAIT + PATIENCE * sum(self._seconds.values())
                self._asked.send(ended(child, most)[0])
        return True

    def _child(
        self,
        session: pytest.Session,
        items: dict[str, pytest.Item],
        caches: list[Any],
        functions: dict[Key, list[FunctionType]],
        codes: dict[Key, bytes],
    ) -> None:
        """Does not return. Exit codes are pytest's."""
        code = BROKEN
        try:
            os.setpgid(0, 0)
            signal.signal(signal.SIGPROF, signal.SIG_DFL)
            for key, data in codes.items():
                for one in functions.get(key, ()):
                    one.__code__ = marshal.loads(data)
            for cache in caches:
                cache.cache_clear()
            session.items = [items[name] for name in self._seconds if name in items]
            session.config.option.maxfail = 1
            from _pytest.main import pytest_runtestloop

            with contextlib.suppress(session.Failed):
                pytest_runtestloop(session)
            code = 1 if session.testsfailed else 0
        finally:
            os._exit(code)


class Warm:
    """Asks such a process."""

    def __init__(self, folder: Path, tests: Sequence[str]) -> None:
        self._folder = folder
        self._ask, theirs = Pipe()
        if os.fork() == 0:
            self._ask.close()
            inside(folder, tests, None, None, folder / "warm", plugins=lambda: [_Server(theirs)])
        theirs.close()
        try:
            #: Tests that it has at hand.
            self.tests: int = self._ask.recv()
        except EOFError:
            said = (folder / "warm").read_text("utf-8", "replace")
            sys.exit(f"the tests do not run:\n{said[-4000:]}")

    def run(self, codes: dict[Key, CodeType], seconds: dict[str, float]) -> int | None:
        """Run the tests named, in that order, each for not much longer than its seconds of CPU;
        pytest's exit code as of `running.run`."""
        shutil.rmtree(self._folder / ".hypothesis" / "examples", ignore_errors=True)
        self._ask.send(({key: marshal.dumps(one) for key, one in codes.items()}, seconds))
        code: int | None = self._ask.recv()
        return code


def statement(tree: ast.AST, line: int) -> tuple[int, int]:
    """First and last line of the smallest statement around `line`; of one with a body, its head."""
    best = (line, line)
    size = 10**9
    for node in ast.walk(tree):
        if not isinstance(node, ast.stmt | ast.ExceptHandler | ast.match_case):
            continue
        first = getattr(node, "lineno", line)
        last = getattr(node, "end_lineno", line)
        body = getattr(node, "body", None)
        if isinstance(node, ast.match_case):
            first, last = node.pattern.lineno, node.pattern.end_lineno
        elif isinstance(body, list) and body:
            last = max(first, body[0].lineno - 1)
        if first <= line <= last and last - first < size:
            best, size = (first, last), last - first
    return best
