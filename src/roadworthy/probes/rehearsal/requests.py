"""What callers of a rehearsal ask: one request for every declared route, with bodies that the operator may give.

Owns the requests and the file of samples::

    samples: 1
    requests:
      - {path: /score, body: {age: 61, tag: "{{tag}}"}}

Rules kept here:
1. Where no sample is given, the body is the smallest that the protocol allows. A use case with an input filter needs
   samples, since nobody can guess what its contract admits.
2. ``{{tag}}`` in a text of a sample is replaced, so that two requests can be told apart.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from roadworthy.base.errors import ManifestError
from roadworthy.probes.rehearsal.declared import Declared, read_mapping

TAG = "{{tag}}"
_TENSOR = {"name": "input", "shape": [1, 1], "datatype": "FP64", "data": [0.5]}


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request.

    Attributes:
        route: what it asks, for people.
        method: of HTTP.
        path: of the target.
        body: bytes; empty for GET.
        stream: whether it asks for server-sent events.
        forwarded: whether an upstream is asked at all.
    """

    route: str
    method: str
    path: str
    body: bytes = b""
    stream: bool = False
    forwarded: bool = True


def requests_of(declared: Declared, samples: Path | None = None) -> tuple[Request, ...]:
    """One request for every declared route, streams included.

    Args:
        declared: the operator's gateway.
        samples: file of bodies; None when there is none.

    Raises:
        MissingFile: there is no such file (RW-102).
        ManifestError: it is no such file, or a filter needs samples and there are none (RW-101).
    """
    bodies = _bodies(samples) if samples else {}
    found = tuple(each for route in declared.routes for each in _of_route(route, bodies))
    if declared.use_case.get("filter") and not any(each.path in bodies for each in found):
        what = f"{declared.name} filters its input, so nobody can guess a request that it takes."
        raise ManifestError(what, remedy="Name a file of samples in gateway.samples.", where=declared.name)
    return found


def tagged(request: Request, tag: str) -> Request:
    """The request with its tag put in."""
    return Request(
        route=request.route,
        method=request.method,
        path=request.path,
        body=request.body.replace(TAG.encode(), tag.encode()),
        stream=request.stream,
        forwarded=request.forwarded,
    )


def _bodies(path: Path) -> dict[str, Mapping[str, Any]]:
    file = read_mapping(path)
    requests = file.get("requests")
    if file.get("samples") != 1 or not isinstance(requests, list):
        remedy = "Write samples: 1 and requests: [{path, body}]."
        raise ManifestError(f"{path.name} is no file of samples.", remedy=remedy, where=str(path))
    found: dict[str, Mapping[str, Any]] = {}
    for each in requests:
        if (
            not isinstance(each, dict)
            or not isinstance(each.get("path"), str)
            or not isinstance(each.get("body"), dict)
        ):
            raise ManifestError("A sample has no path or no body.", remedy="Give both.", where=str(path))
        found[each["path"]] = each["body"]
    return found


def _of_route(route: Mapping[str, Any], bodies: Mapping[str, Mapping[str, Any]]) -> Iterator[Request]:
    protocol = route["protocol"]
    if protocol == "openai":
        yield from _openai(str(route.get("prefix", "/v1")), str(route["models"][0]), bodies)
    elif protocol == "open-inference":
        root, model = str(route.get("prefix", "/v2")), str(route["model"])
        path = f"{root}/models/{model}/infer"
        yield _post("infer", path, {"inputs": [_TENSOR]}, bodies)
        yield Request(route="model-ready", method="GET", path=f"{root}/models/{model}/ready")
        yield Request(route="model-metadata", method="GET", path=f"{root}/models/{model}")
    else:
        path = str(route["path"])
        yield _post(path, path, {"tag": TAG}, bodies, method=str(route.get("method", "POST")))


def _openai(root: str, model: str, bodies: Mapping[str, Mapping[str, Any]]) -> Iterator[Request]:
    chat = f"{root}/chat/completions"
    question = bodies.get(chat) or {"messages": [{"role": "user", "content": f"Rehearsal {TAG}"}]}
    whole = {"model": model, **question}
    whole.pop("stream", None)
    yield Request(route="chat/completions", method="POST", path=chat, body=_json(whole))
    streamed = _json({**whole, "stream": True})
    yield Request(route="chat/completions, streamed", method="POST", path=chat, body=streamed, stream=True)
    for name, member in (("completions", "prompt"), ("embeddings", "input"), ("responses", "input")):
        yield _post(name, f"{root}/{name}", {"model": model, member: f"Rehearsal {TAG}"}, bodies)
    yield Request(route="models", method="GET", path=f"{root}/models", forwarded=False)


def _post(
    name: str, path: str, smallest: Mapping[str, Any], bodies: Mapping[str, Mapping[str, Any]], *, method: str = "POST"
) -> Request:
    model = {"model": smallest["model"]} if "model" in smallest else {}
    body = {**model, **bodies[path]} if path in bodies else smallest
    return Request(route=name, method=method, path=path, body=_json(body))


def _json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()
