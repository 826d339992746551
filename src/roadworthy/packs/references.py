"""What a schema cannot see in one pack file. Owns references, cycles and the coherence of each criterion.

A file that breaks its schema somewhere is examined all the same, as far as its criteria can be read, so that everything
wrong with it is listed at once. References between packs are left to ``profile``, which knows all of them.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from typing import Any

from pydantic import ValidationError

from roadworthy.domain.criterion import Kind
from roadworthy.kit.pack import KNOWN_PARAMS, AcceptModel, CriterionModel
from roadworthy.kit.schema_problems import LineMap, Path, Problem, line_of, nearest, render_path

_PROVEN_BY_CHECK = (Kind.EXECUTABLE, Kind.MEASURED)

Placed = tuple[Path, CriterionModel]


def reference_problems(content: Any, lines: LineMap) -> tuple[Problem, ...]:
    """Everything wrong with a file that its schema does not say.

    1. an id that stands twice;
    2. a criterion that contradicts itself;
    3. a parameter, a document or a criterion that is not known;
    4. gaps that wait for each other in a circle.

    Args:
        content: the parsed file, of whatever shape.
        lines: line by key path.
    """
    placed = [*_readable(content, lines)]
    own = [each for each in placed if each[0][0] == "criteria"]
    found = [
        *_twice(content, "criteria", lines),
        *_twice(content, "gates", lines),
        *(problem for each in placed for problem in _incoherent(each, lines)),
        *(problem for each in placed for problem in _unknown_params(each, lines)),
        *_unknown_documents(placed, _values(content, "sources", "document"), lines),
        *_unknown_criteria(own, _values(content, "criteria", "id"), lines),
        *_cycle(own, lines),
    ]
    return tuple(found)


def dependency_cycle(depends: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """One circle in a dependency graph, first and last the same; empty when there is none."""
    try:
        TopologicalSorter(depends).prepare()
    except CycleError as error:
        return tuple(reversed(error.args[1]))
    return ()


def _blocks(content: Any, key: str) -> list[Any]:
    blocks = content.get(key) if isinstance(content, Mapping) else None
    return blocks if isinstance(blocks, list) else []


def _values(content: Any, key: str, member: str) -> list[str]:
    return [str(block[member]) for block in _blocks(content, key) if isinstance(block, Mapping) and member in block]


def _readable(content: Any, lines: LineMap) -> Iterator[Placed]:
    """Every criterion that can be read on its own, those that overlays add included."""
    places: list[tuple[Path, Any]] = [(("criteria", i), raw) for i, raw in enumerate(_blocks(content, "criteria"))]
    places.extend((("overlays", i, "criterion"), raw) for i, raw in enumerate(_blocks(content, "overlays")))
    for path, raw in places:
        block = raw.get("criterion") if path[0] == "overlays" and isinstance(raw, Mapping) else raw
        if path in lines and isinstance(block, Mapping):
            try:
                yield path, CriterionModel.model_validate(block)
            except ValidationError:
                # Its schema problems are listed already; nothing more can be said of it.
                continue


def _problem(lines: LineMap, path: Path, what: str, remedy: str) -> Problem:
    return Problem(line_of(lines, path), render_path(path), what, remedy)


def _twice(content: Any, key: str, lines: LineMap) -> Iterator[Problem]:
    seen: set[str] = set()
    for index, block in enumerate(_blocks(content, key)):
        name = block.get("id") if isinstance(block, Mapping) else None
        if isinstance(name, str):
            if name in seen:
                yield _problem(lines, (key, index, "id"), f"{name} is defined twice.", "Give each its own id.")
            seen.add(name)


def _incoherent(placed: Placed, lines: LineMap) -> Iterator[Problem]:
    path, criterion = placed
    if criterion.check is not None and criterion.kind not in _PROVEN_BY_CHECK:
        what = f"A check cannot prove a criterion of kind {criterion.kind.value}."
        yield _problem(lines, (*path, "check"), what, "Make it executable or measured, or set check to null.")
    if (criterion.check is None) != (not criterion.accept):
        remedy = "Give both, or set check to null and accept to [] while no instrument can prove it."
        yield _problem(lines, (*path, "accept"), "A check needs a bound, and a bound needs a check.", remedy)
    if criterion.kind not in _PROVEN_BY_CHECK and not criterion.signer_roles:
        what = f"Nothing can prove a criterion of kind {criterion.kind.value} that nobody signs."
        yield _problem(lines, (*path, "signer_roles"), what, "Name at least one role.")
    if not criterion.effort.low <= criterion.effort.likely <= criterion.effort.high:
        yield _problem(lines, (*path, "effort"), "The person-days are out of order.", "Order them low, likely, high.")
    for metric, count in Counter(each.metric for each in criterion.accept).items():
        if count > 1:
            yield _problem(lines, (*path, "accept"), f"The metric {metric} has {count} bounds.", "Keep one.")


def _unknown_params(placed: Placed, lines: LineMap) -> Iterator[Problem]:
    path, criterion = placed
    for index, accept in enumerate(criterion.accept):
        for key, what, remedy in _wrong_params(accept):
            yield _problem(lines, (*path, "accept", index, key), what, remedy)


def _wrong_params(accept: AcceptModel) -> Iterator[tuple[str, str, str]]:
    for key, name, kind in accept.params():
        if name not in KNOWN_PARAMS:
            yield key, f"Unknown parameter {name!r}.", nearest(name, [*KNOWN_PARAMS])
        elif KNOWN_PARAMS[name] is not kind:
            fitting = [each for each, its in KNOWN_PARAMS.items() if its is kind]
            yield key, f"The parameter {name!r} is not a {kind.value}.", f"Fitting: {', '.join(fitting)}."


def _unknown_documents(placed: Sequence[Placed], known: Sequence[str], lines: LineMap) -> Iterator[Problem]:
    for path, criterion in placed:
        for index, citation in enumerate(criterion.sources):
            if citation.document not in known:
                what = f"The document {citation.document!r} is not among the sources of this file."
                remedy = nearest(citation.document, known) if known else "List it under sources."
                yield _problem(lines, (*path, "sources", index, "document"), what, remedy)


def _unknown_criteria(own: Sequence[Placed], known: Sequence[str], lines: LineMap) -> Iterator[Problem]:
    for path, criterion in own:
        for index, name in enumerate(criterion.gap_depends_on):
            if name not in known:
                what = f"Unknown criterion {name!r}."
                yield _problem(lines, (*path, "gap_depends_on", index), what, nearest(name, known))


def _cycle(own: Sequence[Placed], lines: LineMap) -> Iterator[Problem]:
    circle = dependency_cycle({criterion.id: criterion.gap_depends_on for _, criterion in own})
    if circle:
        path = next(path for path, criterion in own if criterion.id == circle[0])
        what = f"These gaps wait for each other: {' -> '.join(circle)}."
        yield _problem(lines, (*path, "gap_depends_on"), what, "Remove one of these dependencies.")
