"""Do the parts of the product know only whom they should, and do the pure ones stay pure? Read from the source text."""

from __future__ import annotations

import ast
import inspect
import re
import sys
import tokenize
import tomllib
from collections.abc import Collection, Iterator, Mapping
from functools import cache
from graphlib import TopologicalSorter
from io import StringIO
from pathlib import Path
from typing import Final

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("local_controller", "optimizer", "backtest", "site_simulator")
LC = "local_controller."
ALL_READ = (f"{LC}clock", f"{LC}errors")

MAY_IMPORT: Final[Mapping[str, tuple[str, ...]]] = {
    f"{LC}errors": (),
    f"{LC}clock": (),
    f"{LC}rpc": ALL_READ,
    f"{LC}profiles": ALL_READ,
    "optimizer": (),
    f"{LC}station": (*ALL_READ, f"{LC}rpc", f"{LC}profiles"),
    f"{LC}deputy": (*ALL_READ, f"{LC}rpc", f"{LC}station"),
    f"{LC}site": (*ALL_READ, f"{LC}profiles", "optimizer", f"{LC}station.words", f"{LC}station.effects"),
    f"{LC}config": (
        *ALL_READ,
        f"{LC}profiles.units",
        *(
            f"{LC}site.{one}"
            for one in (
                *("topology", "limits", "per_phase", "timetable", "own_limits", "quarter_hour", "person_limit"),
                *("contacts", "section_14a", "wiring"),
            )
        ),
        *(f"{LC}station.{one}" for one in ("words", "knowledge")),
    ),
    f"{LC}adapters": (
        *ALL_READ,
        *(f"{LC}{core}" for core in ("rpc", "profiles", "station", "deputy", "site", "config")),
        "optimizer",
    ),
    f"{LC}app": (
        *ALL_READ,
        *(f"{LC}{part}" for part in ("profiles", "station", "site", "config", "adapters")),
        "optimizer",
    ),
    f"{LC}cli": (*ALL_READ, *(f"{LC}{part}" for part in ("station", "site", "config", "adapters", "app")), "optimizer"),
    f"{LC}cli.demo": (*ALL_READ, f"{LC}config", f"{LC}app", f"{LC}cli", "site_simulator"),
    f"{LC}__main__": (f"{LC}cli",),
    f"{LC}cli.simulate": (*ALL_READ, f"{LC}site", f"{LC}config", f"{LC}cli", "optimizer", "backtest"),
    "backtest": ("optimizer",),
    "site_simulator": (),
}
"""What a part may import beside itself and third parties. A new part has to be entered here, with its neighbours."""

REASONS: Final = (
    ("optimizer", "", "it is a library of its own, for simulations and research too"),
    ("site_simulator", "", "it is a stranger that speaks through sockets only, so that both cannot share a mistake"),
    (f"{LC}profiles", f"{LC}rpc", "a limit has no idea how it is sent"),
    (f"{LC}rpc", f"{LC}profiles", "a message has no idea of charging"),
    ("backtest", "", "it is a library beside the optimizer; who wants to simulate a site file translates it"),
    ("", "backtest", "what happens on other days is asked by the simulation only"),
    (f"{LC}station", f"{LC}site", "a station does not know the site that it belongs to"),
    (f"{LC}station", f"{LC}deputy", "a proxy goes on as if the CSMS were there"),
    (f"{LC}station", "optimizer", "a station is told its limit and shares nothing out"),
    (f"{LC}site", f"{LC}station", "the site knows a station by its words and effects only"),
    (f"{LC}site", f"{LC}rpc", "the site decides limits and has no idea of messages"),
    (f"{LC}config", f"{LC}adapters", "a site file can be checked without a socket"),
    ("", "site_simulator", "the product does not know its simulator; only the demonstration starts one"),
    ("", f"{LC}adapters", "adapters are the shell around the cores; only app and cli know them"),
    ("", f"{LC}app", "who is put together must not know who does it"),
    ("", f"{LC}cli", "who is started must not know who starts it"),
    ("", f"{LC}config", "a core takes values, not sections of a file"),
    ("", "", "it is not among the neighbours that MAY_IMPORT gives it"),
)
"""Why not, for the importing and the imported part; the first row that fits speaks."""

PURE: Final = (f"{LC}rpc", f"{LC}profiles", f"{LC}station", f"{LC}deputy", f"{LC}site", "optimizer")
IMPURE_MODULES: Final = frozenset(
    {"asyncio", "logging", "multiprocessing", "os", "random", "socket", "structlog", "subprocess", "threading"}
)
STOP_WATCH: Final = ("optimizer.solve", "time.perf_counter")
"""The one clock that a pure part reads: it says how long the solver took, and nothing is decided by it."""

IMPORTED_AS: Final = {"paho_mqtt": "paho", "pyserial": "serial", "ruamel.yaml": "ruamel"}
"""Packages that are imported by another name than they are installed by."""

BROUGHT_ALONG: Final = frozenset({"pydantic_core", "click", "annotated_types"})
"""Parts of the packages that are named as dependencies."""

FORBIDDEN_TEXT: Final = {
    "a path of one machine": re.compile(r"(?<![\w.])/(?:work|root|home|tmp|Users)/|\.\./shared"),
    "where packages come from is a matter of the machine": re.compile(
        r"pypi\.org|pythonhosted\.org|index[-]url|https?://[^/\s\"']*(?:registry|artifactory|nexus|mirror)[^/\s\"']*"
    ),
    "what is left to do stands in no file": re.compile(r"(?:#|//|<!--)\s*(?:TODO|FIXME|XXX)\b|\b(?:TODO|FIXME)[:(]"),
}


# --- the checks ---------------------------------------------------------------------------------------------------


def part_of(module: str) -> str | None:
    """The row of MAY_IMPORT that a module belongs to: the longest that fits, `cli.demo` also for cli.demo_peers."""
    for command in ("demo", "simulate"):
        if module.startswith(f"{LC}cli.{command}"):
            return f"{LC}cli.{command}"
    return max((part for part in MAY_IMPORT if within(module, part)), key=len, default=None)


def within(module: str, part: str) -> bool:
    """Whether the module is the part or lies in it; everything lies in ""."""
    return part in {"", module} or module.startswith(f"{part}.")


@cache
def nodes_of(source: str) -> list[ast.AST]:
    """Everything in a source text; several checks look at each of them."""
    return list(ast.walk(ast.parse(source)))


def imports(module: str, source: str) -> Iterator[tuple[int, str]]:
    """Line and full name of everything that is imported, wherever in the file."""
    for node in nodes_of(source):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = module.split(".")[: -node.level] if node.level else []
            source = ".".join([*above, *([node.module] if node.module else [])])
            yield from ((node.lineno, f"{source}.{alias.name}") for alias in node.names)


def wrong_imports(module: str, source: str) -> list[str]:
    """One sentence for each import that goes in a direction that it must not."""
    own = [(line, name) for line, name in imports(module, source) if name.split(".")[0] in PACKAGES]
    part = part_of(module)
    if part is None:
        return [f"{module} belongs to no part: say in MAY_IMPORT what it may import"] if own else []
    wrong = [(line, name) for line, name in own if not any(within(name, one) for one in (part, *MAY_IMPORT[part]))]
    return [
        f"{module}:{line}: {short(part)} must not import {short(name)}: {reason(part, name)}" for line, name in wrong
    ]


def undeclared(module: str, source: str, installed: frozenset[str]) -> list[str]:
    """Imports of packages that need not be there where the product is installed."""
    there = {*sys.stdlib_module_names, *PACKAGES, *installed}
    return [
        f"{module}:{line}: {name.split('.')[0]} is no dependency of the product: see pyproject.toml"
        for line, name in imports(module, source)
        if name.split(".")[0] not in there
    ]


def short(name: str) -> str:
    return name.removeprefix(LC)


def reason(part: str, name: str) -> str:
    return next(why for importer, imported, why in REASONS if within(part, importer) and within(name, imported))


def impurities(module: str, source: str) -> list[str]:
    """What a pure module must not do: wait, read a clock, log, open."""
    imported = list(imports(module, source))
    found = [(line, f"imports {name}") for line, name in imported if name.split(".")[0] in IMPURE_MODULES]
    found += [(line, f"imports {name}") for line, name in imported if name.startswith("time.")]
    for node in nodes_of(source):
        if isinstance(node, ast.AsyncFunctionDef | ast.Await | ast.AsyncFor | ast.AsyncWith):
            found.append((node.lineno, "waits"))
        elif (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id in {"open", "print", "input"}
        ):
            found.append((node.lineno, f"calls {node.func.id}()"))
        elif (
            isinstance(node, ast.Attribute)
            and may_read_clock(node)
            and reads_clock(ast.unparse(node))
            and (module, ast.unparse(node)) != STOP_WATCH
        ):
            found.append((node.lineno, f"reads a clock by {ast.unparse(node)}"))
    return [f"{module}:{line} {what}: facts and the time come in, effects go out" for line, what in found]


def may_read_clock(node: ast.Attribute) -> bool:
    """Of a chain of attributes the innermost of `time` is enough; to write out all others takes long."""
    return node.attr in {"now", "utcnow", "today"} or (isinstance(node.value, ast.Name) and node.value.id == "time")


def reads_clock(name: str) -> bool:
    return name.startswith("time.") or re.search(r"\b(datetime\.(now|utcnow|today)|date\.today)$", name) is not None


def forbidden_text(name: str, text: str) -> list[str]:
    """What no file of the project may say."""
    return [
        f"{name}:{text.count(chr(10), 0, match.start()) + 1}: {match.group()!r}: {why}"
        for why, pattern in FORBIDDEN_TEXT.items()
        for match in pattern.finditer(text)
    ]


# --- the project --------------------------------------------------------------------------------------------------


def project_files(pattern: str = "*") -> list[Path]:
    """The project's own files, without what tools leave behind."""
    left_behind = {"__pycache__", "node_modules", "build", "dist"}
    return [
        path
        for path in sorted(ROOT.rglob(pattern))
        if path.is_file()
        and path.name != ".git"  # in a second working tree it is a file
        and not any(
            part in left_behind or (part[0] == "." and part != ".ci") for part in path.relative_to(ROOT).parts[:-1]
        )
    ]


def modules() -> list[tuple[str, str]]:
    """Name and source of each module of the three packages."""
    files = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
    names = [".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for path in files]
    return [(name, path.read_text(encoding="utf-8")) for name, path in zip(names, files, strict=True)]


def test_imports_go_one_way() -> None:
    assert [wrong for module, source in modules() for wrong in wrong_imports(module, source)] == []


def test_no_module_of_the_product_leads_back_to_itself() -> None:
    """Nor for the sake of its types. The simulator's station and its two dialects are one object in three files."""
    sources = {module: source for module, source in modules() if not within(module, "site_simulator")}
    graph = {
        module: {home for _, name in imports(module, source) if (home := home_of(name, sources))}
        for module, source in sources.items()
    }
    tuple(TopologicalSorter({module: known - {module} for module, known in graph.items()}).static_order())


def home_of(name: str, known: Collection[str]) -> str | None:
    """The module that an imported name is, or lies in."""
    return next((one for one in (name, name.rpartition(".")[0]) if one in known), None)


def test_pure_packages_do_not_wait_read_clocks_log_or_open() -> None:
    pure = [(module, source) for module, source in modules() if any(within(module, part) for part in PURE)]
    assert len(pure) > 50
    assert [impurity for module, source in pure for impurity in impurities(module, source)] == []


def test_what_is_imported_is_installed_with_the_product() -> None:
    """By its dependencies and extras; what only tests and benchmarks bring is not there at a site."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [*project["dependencies"], *(one for extra in project["optional-dependencies"].values() for one in extra)]
    names = [re.split(r"[^\w.-]", one)[0].lower().replace("-", "_") for one in wanted]
    installed = BROUGHT_ALONG | frozenset(IMPORTED_AS.get(name, name) for name in names)
    assert [wrong for module, source in modules() for wrong in undeclared(module, source, installed)] == []


def docstring(text: str) -> str:
    """That of a module, read no further than it goes."""
    beside = {tokenize.COMMENT, tokenize.NL, tokenize.ENCODING}
    first = next(token for token in tokenize.generate_tokens(StringIO(text).readline) if token.type not in beside)
    return inspect.cleandoc(ast.literal_eval(first.string)) if first.type == tokenize.STRING else ""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('"""What?\n\n    More.\n"""\nimport ast\n', "What?\n\nMore."),
        ('# a comment\n\n"""What?"""\n', "What?"),
        ('import ast\n"""What?"""\n', ""),
        ('"""\n\nWhat?"""\n', "What?"),
        ('name = "What?"\n', ""),
    ],
)
def test_what_a_module_says_is_what_python_takes_for_its_docstring(text: str, said: str) -> None:
    assert docstring(text) == (ast.get_docstring(ast.parse(text)) or "") == said


def test_each_module_says_in_its_first_line_what_it_is_about() -> None:
    sources = {path: path.read_text(encoding="utf-8") for path in project_files("*.py")}
    docstrings = {path: docstring(text) for path, text in sources.items() if text.strip()}
    assert [str(path) for path, text in docstrings.items() if not text.split("\n")[0].strip()] == []


def test_no_file_names_a_machine_or_puts_something_off() -> None:
    texts = [(path, path.read_bytes().decode(errors="replace")) for path in project_files()]
    assert len(texts) > 200
    found = [wrong for path, text in texts for wrong in forbidden_text(str(path.relative_to(ROOT)), text)]
    assert found == []


def test_the_licence_is_there() -> None:
    assert "Apache License" in (ROOT / "LICENSE").read_text(encoding="utf-8")


# --- can these checks fail? ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("module", "line", "complaint"),
    [
        (f"{LC}profiles.units", f"import {LC}rpc.frame", "profiles must not import rpc.frame: a limit has no idea how"),
        (f"{LC}rpc.frame", f"from {LC}profiles import units", "rpc must not import profiles.units: a message has no"),
        (f"{LC}rpc.frame", "from ..profiles import units", "rpc must not import profiles.units: a message has no"),
        (f"{LC}station.proxy", f"from {LC}site.limits import Limit", "does not know the site"),
        (f"{LC}station.proxy", "from optimizer.share import share", "shares nothing out"),
        (f"{LC}site.limits", f"from {LC}station import proxy", "by its words and effects only"),
        (f"{LC}site.limits", f"from {LC}rpc.frame import Frame", "no idea of messages"),
        (f"{LC}site.limits", f"import {LC}adapters.driver", "only app and cli know them"),
        (f"{LC}site.limits", f"from {LC}config.models import SiteConfig", "values, not sections"),
        (f"{LC}config.load", f"from {LC}adapters.modbus.device import load_device", "without a socket"),
        (f"{LC}config.load", f"from {LC}site.controller import SiteController", "MAY_IMPORT"),
        (f"{LC}adapters.driver", f"from {LC}app import LocalController", "must not know who does it"),
        (f"{LC}app", f"from {LC}cli.logs import configure", "must not know who starts it"),
        (f"{LC}cli.run", "import site_simulator.clock", "only the demonstration"),
        ("optimizer.solve", f"from {LC}clock import Clock", "library of its own"),
        ("backtest.engine", f"from {LC}site.topology import Topology", "library beside the optimizer"),
        (f"{LC}cli.run", "from backtest.engine import run", "by the simulation only"),
        ("site_simulator.wire", f"def f():\n    from {LC}rpc import frame", "speaks through sockets only"),
        (f"{LC}novelty.thing", f"from {LC}clock import Clock", "belongs to no part"),
    ],
)
def test_a_wrong_direction_is_noticed_with_its_reason(module: str, line: str, complaint: str) -> None:
    (wrong,) = wrong_imports(module, line)
    assert complaint in wrong


@pytest.mark.parametrize(
    ("module", "line"),
    [
        (f"{LC}site.evse", f"from {LC}station import words"),
        (f"{LC}site.evse", f"from {LC}station.words import EvseId"),
        (f"{LC}site.evse", "from . import limits"),
        (f"{LC}station.proxy", "import optimizers_of_others"),
        (f"{LC}cli.demo", "import site_simulator.clock"),
        (f"{LC}cli.demo_peers", "import site_simulator.clock"),
        (f"{LC}cli.simulate_site", "import backtest.engine"),
        (f"{LC}adapters.web.server", f"from {LC}site.snapshot import snapshot"),
    ],
)
def test_a_right_direction_is_let_through(module: str, line: str) -> None:
    assert wrong_imports(module, line) == []


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("async def f(): ...", "waits"),
        ("import asyncio", "imports asyncio"),
        ("from structlog import get_logger", "imports structlog.get_logger"),
        ("from time import monotonic", "imports time.monotonic"),
        ("import time\nt = time.monotonic()", "reads a clock by time.monotonic"),
        ("import time\nt = time.perf_counter()", "reads a clock by time.perf_counter"),
        ("now = datetime.now(UTC)", "reads a clock by datetime.now"),
        ("now = datetime.datetime.now", "reads a clock by datetime.datetime.now"),
        ("day = date.today()", "reads a clock by date.today"),
        ("text = open('x').read()", "calls open()"),
        ("print('x')", "calls print()"),
    ],
)
def test_an_impurity_is_noticed(line: str, complaint: str) -> None:
    (found,) = impurities(f"{LC}site.limits", line)
    assert complaint in found


def test_the_stop_watch_of_the_solver_is_no_impurity() -> None:
    assert impurities("optimizer.solve", "import time\nt = time.perf_counter()") == []


@pytest.mark.parametrize(
    "text",
    [
        "see /" + "root/notes",
        "a=/" + "tmp/x",
        "pypi" + ".org",
        "--index" + "-url x",
        '"resolved": "https://reg' + 'istry.example.com/x"',
        "# TO" + "DO later",
        "FIX" + "ME: now",
    ],
)
def test_a_forbidden_text_is_noticed_with_its_line(text: str) -> None:
    (found,) = forbidden_text("notes.md", f"first line\n{text}\n")
    assert found.startswith("notes.md:2: ")


def test_a_package_that_only_tests_bring_is_noticed() -> None:
    (found,) = undeclared("optimizer.solve", "import numpy\nfrom scipy.optimize import milp", frozenset({"numpy"}))
    assert found.startswith("optimizer.solve:2: scipy is no dependency")


@pytest.mark.parametrize("text", ["https://example.com/home/page", "path_to_root/x", "no TO" + "DO comments are kept"])
def test_an_innocent_text_is_let_through(text: str) -> None:
    assert forbidden_text("notes.md", text) == []
