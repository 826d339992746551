"""Reading gateway.yaml. Owns what its keys must mean together; each key by itself belongs to ``config``.

Rules kept here:
1. Every problem is named at once, with its line.
2. What comes back holds absolute paths only, so that the folder in which a process stands decides nothing.
3. A file that a start needs must be there. A certificate may be missing: admission then fails closed by itself.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel

from roadworthy.domain.risk import Tier
from roadworthy.gateway.config import GatewayConfig, JsonRoute, OpenAiRoute, OpenInferenceRoute, Tls, UseCase
from roadworthy.kit.schema_problems import LineMap, Problem, line_of, render_path
from roadworthy.kit.schema_problems import Path as KeyPath
from roadworthy.kit.yaml_file import parse_model, read_text

SOCKET_NAME = "ledgerd.sock"
LONGEST_SOCKET_BYTES = 100
"""A Unix socket's path has 104 to 108 bytes, by system, with its final zero."""
_LAST_PORT = 65_535
_KEY_DIGITS = frozenset("0123456789abcdef")
_KEY_LENGTH = 64
_REMEDY = "Correct the lines above; roadworthy gateway init writes an example."
_RESERVED = ("/feedback",)
Block = TypeVar("Block", bound=BaseModel)


def load_config(path: Path) -> GatewayConfig:
    """Read and check a gateway's configuration; its relative paths start at its folder.

    Raises:
        MissingFile: there is no such file (RW-102).
        ManifestError: it is not YAML, breaks the schema, or contradicts itself; all problems are listed (RW-101).
    """
    return parse_config(read_text(path), path.name, path.resolve().parent)


def parse_config(text: str, name: str, folder: Path) -> GatewayConfig:
    """Check the text of a configuration.

    Args:
        text: YAML.
        name: of its file, for messages.
        folder: absolute; where relative paths start.

    Raises:
        ManifestError: as ``load_config`` (RW-101).
    """

    def also(config: GatewayConfig, lines: LineMap) -> Sequence[Problem]:
        absolute = _absolute(config, folder)
        return [
            Problem(line_of(lines, path), render_path(path), what, remedy) for path, what, remedy in problems(absolute)
        ]

    return _absolute(parse_model(text, name, GatewayConfig, remedy=_REMEDY, also=also), folder)


def socket_path(config: GatewayConfig) -> Path:
    """Where the ledger's process listens."""
    return config.ledger.socket or config.ledger.folder / SOCKET_NAME


def problems(config: GatewayConfig) -> Iterator[tuple[KeyPath, str, str]]:
    """What no single key can show: key path, what is wrong, remedy."""
    yield from _addresses(config)
    yield from _ledger(config)
    yield from _routes(config)
    for name, use_case in config.use_cases.items():
        yield from _use_case(("use_cases", name), use_case, config.workers)
    yield from _files((), config)


def _addresses(config: GatewayConfig) -> Iterator[tuple[KeyPath, str, str]]:
    for key, address in (("listen", config.listen), ("admin", config.admin)):
        if int(address.rpartition(":")[2]) > _LAST_PORT:
            yield (key,), f"There is no port {address.rpartition(':')[2]}.", f"Ports end at {_LAST_PORT}."
    if config.listen == config.admin and not config.listen.endswith(":0"):
        yield ("admin",), "Callers and administrators have one address.", "Give each its own."


def _ledger(config: GatewayConfig) -> Iterator[tuple[KeyPath, str, str]]:
    length = len(str(socket_path(config)).encode())
    if length > LONGEST_SOCKET_BYTES:
        what = f"The socket's path has {length} bytes, more than {LONGEST_SOCKET_BYTES}."
        yield ("ledger", "socket"), what, "Name a shorter one in ledger.socket."
    if config.ledger.witness_quorum > len(config.ledger.witness_keys):
        what = f"{config.ledger.witness_quorum} cosignatures are asked of {len(config.ledger.witness_keys)} keys."
        yield ("ledger", "witness_quorum"), what, "Lower it, or name more keys in ledger.witness_keys."


def _routes(config: GatewayConfig) -> Iterator[tuple[KeyPath, str, str]]:
    """Every claim on the address space must have one owner, else the order of the file would decide who answers."""
    owners: dict[str, str] = {}
    spoken: dict[str, str] = {}
    paths: list[tuple[KeyPath, str]] = []
    for name, use_case in config.use_cases.items():
        for number, route in enumerate(use_case.routes):
            place: KeyPath = ("use_cases", name, "routes", number)
            for claim in _claims(route):
                if claim in owners:
                    yield place, f"{claim} belongs to {owners[claim]} already.", "Give it to one use case."
                owners.setdefault(claim, name)
            if isinstance(route, JsonRoute):
                paths.append((place, route.path))
            elif spoken.setdefault(route.prefix, route.protocol) != route.protocol:
                yield place, f"{route.prefix} speaks {spoken[route.prefix]} already.", "Choose another prefix."
    for place, path in paths:
        yield from _path(place, path, spoken)


def _path(place: KeyPath, path: str, prefixes: Iterable[str]) -> Iterator[tuple[KeyPath, str, str]]:
    if path in _RESERVED:
        yield place, f"{path} is the gateway's own.", "Choose another path."
    for prefix in prefixes:
        if path == prefix or path.startswith(prefix + "/"):
            yield place, f"{path} lies inside the prefix {prefix}.", "Choose another path."


def _claims(route: OpenAiRoute | OpenInferenceRoute | JsonRoute) -> list[str]:
    if isinstance(route, OpenAiRoute):
        return [f"model {model} at {route.prefix}" for model in route.models]
    if isinstance(route, OpenInferenceRoute):
        return [f"model {route.model} at {route.prefix}"]
    return [f"path {route.path}"]


def _use_case(place: KeyPath, use_case: UseCase, workers: int) -> Iterator[tuple[KeyPath, str, str]]:
    if use_case.tier is Tier.R0:
        yield (*place, "tier"), "R0 is prohibited.", "It may not be served."
    if use_case.lacks_certificate:
        what = f"Tier {use_case.tier.value} is served only with a certificate."
        yield place, what, "Name it: admission: {certificate: ..., trusted_keys: [...]}."
    for number, key in enumerate(use_case.admission.trusted_keys if use_case.admission else []):
        if len(key) != _KEY_LENGTH or not _KEY_DIGITS.issuperset(key):
            yield (*place, "admission", "trusted_keys", number), "This is not a key.", "Give 64 lower-case hex digits."
    if workers > 1 and any(rung.human is not None for rung in use_case.fallback):
        what = "A review queue lies in the memory of one worker."
        yield (*place, "fallback"), what, "Set workers: 1, or drop the human rung."


_OPTIONAL = frozenset({"certificate", "revocations", "folder", "socket"})
"""Keys whose file may be made later: the ledger's own, and what admission waits for."""


def _files(place: KeyPath, block: BaseModel) -> Iterator[tuple[KeyPath, str, str]]:
    for name in type(block).model_fields:
        if name not in _OPTIONAL or isinstance(block, Tls):
            yield from _absent((*place, name), getattr(block, name))


def _absent(place: KeyPath, value: object) -> Iterator[tuple[KeyPath, str, str]]:
    if isinstance(value, BaseModel):
        yield from _files(place, value)
    elif isinstance(value, Mapping):
        for key, each in value.items():
            yield from _absent((*place, key), each)
    elif isinstance(value, list):
        for number, each in enumerate(value):
            yield from _absent((*place, number), each)
    elif isinstance(value, Path) and not value.is_file():
        yield place, f"There is no file {value}.", "Make it, or correct the path."


def _absolute(block: Block, folder: Path) -> Block:
    return block.model_copy(update={name: _from(getattr(block, name), folder) for name in type(block).model_fields})


def _from(value: Any, folder: Path) -> Any:
    if isinstance(value, BaseModel):
        return _absolute(value, folder)
    if isinstance(value, Path):
        return folder / value
    if isinstance(value, dict):
        return {key: _from(each, folder) for key, each in value.items()}
    if isinstance(value, list):
        return [_from(each, folder) for each in value]
    return value
