"""The house rules that no bought linter knows. Owns pure functions from text to complaints; the tree is walked elsewhere."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

MAX_FILE_LINES = 500
MAX_FUNCTION_LINES = 80
MAX_FILE_BYTES = 1_000_000
BANNED_STEMS = frozenset({"utils", "util", "helpers", "helper", "common", "misc", "manager", "managers"})
BANNED_FOLDERS = frozenset({"legacy", "utils", "helpers", "common", "misc"})
FILLED_INITS = frozenset({"roadworthy/__init__.py", "roadworthy/kit/__init__.py"})

_UNTRACKED = frozenset({".git", ".venv", ".venv-full", "build", "dist", "__pycache__", "node_modules", ".roadworthy"})
_SILENCER = re.compile(r"#\s*(noqa|type:\s*ignore|pragma:\s*no (?:cover|branch))(?P<rest>.*)$")
_CODES = {
    "noqa": re.compile(r":\s*[A-Z]+[0-9]+(?:[, ]+[A-Z]+[0-9]+)*(?P<why>.*)$"),
    "type": re.compile(r"\[[a-z0-9, -]+\](?P<why>.*)$"),
    "pragma": re.compile(r"(?P<why>.*)$"),
}
_TODO = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
_ISSUE = re.compile(r"\(#\d+\)")
# Written in pieces, so that this file does not break its own rule.
_REGISTRIES = ("pypi" + ".org", "python" + "hosted.org", "npm" + "js.org", "npm" + "js.com", "proxy.golang" + ".org")
_MACHINE_PATH = re.compile(r"(?<![\w./~<>-])/(?:work|tmp|root|home)/\w")


def tracked(root: Path) -> Iterator[Path]:
    """Every file that is, or could be, committed: all but what the environment and the tools make."""
    for path in sorted(root.iterdir()):
        if path.name in _UNTRACKED or path.name.endswith("_cache") or path.name in {".hypothesis", ".coverage"}:
            continue
        if path.is_dir():
            yield from tracked(path)
        elif path.suffix != ".pyc":
            yield path


def text_of(path: Path) -> str:
    """The text of a file; a binary one has none."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return ""


def long_functions(source: str) -> list[str]:
    """Functions of more than 80 lines, decorators and docstring included."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
            lines = (node.end_lineno or node.lineno) - first + 1
            if lines > MAX_FUNCTION_LINES:
                found.append(f"line {first}: {node.name} has {lines} lines")
    return found


def hidden_imports(source: str) -> list[str]:
    """Imports inside a function, where no reader looks for them."""
    return [
        f"line {inner.lineno}: import inside {node.name}"
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        for inner in ast.walk(node)
        if isinstance(inner, ast.Import | ast.ImportFrom)
    ]


def broad_catches(source: str) -> list[str]:
    """``except Exception`` that does not raise again with ``from``: the error is swallowed."""
    return [
        f"line {node.lineno}: catches everything and does not re-raise with from"
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.ExceptHandler) and _is_broad(node.type) and not _reraises(node)
    ]


def _is_broad(kind: ast.expr | None) -> bool:
    if isinstance(kind, ast.Tuple):
        return any(_is_broad(member) for member in kind.elts)
    return kind is None or (isinstance(kind, ast.Name) and kind.id in {"Exception", "BaseException"})


def _reraises(node: ast.ExceptHandler) -> bool:
    # A bare raise passes the very same error on, so nothing is lost either.
    return any(isinstance(inner, ast.Raise) and (inner.cause or not inner.exc) for inner in ast.walk(node))


def bare_silences(text: str) -> list[str]:
    """Linter comments without a code or without a reason."""
    found = []
    for number, comment in _comments(text):
        match = _SILENCER.search(comment)
        if match is None:
            continue
        kind = re.split(r"[:\s]", match.group(1))[0]
        shape = _CODES[kind].match(match.group("rest").strip() if kind != "noqa" else match.group("rest"))
        if shape is None:
            found.append(f"line {number}: {kind} without a code")
        elif len(shape.group("why").strip(" #-–:")) < 4:
            found.append(f"line {number}: {kind} without a reason")
    return found


def unowned_todos(text: str) -> list[str]:
    """Reminders in comments that name no issue, as in ``(#12)``."""
    return [
        f"line {number}: {match.group(1)} without an issue number"
        for number, comment in _comments(text)
        if (match := _TODO.search(comment)) and not _ISSUE.search(comment)
    ]


def _comments(source: str) -> Iterator[tuple[int, str]]:
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


def places(text: str) -> list[str]:
    """Hosts of package registries and paths of one machine: both are nobody else's business."""
    found = [f"names the registry {host}" for host in _REGISTRIES if host in text]
    found.extend(
        f"line {number}: names a path of one machine"
        for number, line in enumerate(text.splitlines(), 1)
        if _MACHINE_PATH.search(line)
    )
    return found
