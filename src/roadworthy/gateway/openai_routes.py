"""The OpenAI interface. Owns its paths, how a body names its model, and the shape of errors, models and usage.

Rules kept here:
1. A body goes upstream byte for byte. Only of a background response the member ``background`` is taken out, since it is
   this gateway that keeps the answer.
2. The model in the body decides which use case is asked, so a body in which it could be read in two ways is refused: a
   member that we read stands there once, and none differs from it by upper and lower case only, as some readers ignore.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from roadworthy.base.canonical import parse_json
from roadworthy.base.errors import NotCanonical
from roadworthy.gateway.exchange import Reason, Refused
from roadworthy.gateway.routes import USAGE_BYTES, Asked, Declared, Endpoint, Work, malformed
from roadworthy.gateway.stages import UseCaseStages

_TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
_DONE = (b"data: [DONE]", b"data:[DONE]")
# In an encoded member, quotation marks are escaped; so these bytes are never part of a text.
_FINISHED = (b'"finish_reason":"', b'"finish_reason": "')
_COMPLETED = tuple(
    mark + kind
    for kind in (b"completed", b"failed", b"incomplete", b"cancelled")
    for mark in (b"event: response.", b"event:response.")
)
_READ = frozenset({"model", "background", "stream"})
"""Members that decide what becomes of a request."""
_ESCAPED_NAME = re.compile(rb"\\u00[67]")


class OpenAiShape:
    """``{"error": {"message", "type", "param", "code"}}``."""

    @staticmethod
    def error(refused: Refused, record: str) -> tuple[bytes, bytes]:
        """The official clients make one of their exceptions from it, by the status."""
        kind = _TYPES.get(refused.status, "invalid_request_error" if refused.status < 500 else "server_error")
        code = "model_not_found" if refused.status == 404 else refused.reason.value
        error = {"message": refused.what, "type": kind, "param": None, "code": code, "record": record}
        return b"application/json", orjson.dumps({"error": error})

    @staticmethod
    def stream_error(code: str, what: str) -> bytes:
        """An event with a member ``error``: the official clients raise on it."""
        error = {"message": what, "type": "server_error", "param": None, "code": code}
        return b"data: " + orjson.dumps({"error": error}) + b"\n\n"

    @staticmethod
    def usage(body: bytes) -> tuple[int, int]:
        """``usage`` of the answer, by either of its pairs of names."""
        if len(body) > USAGE_BYTES or body.find(b'"usage"') < 0:
            return 0, 0
        try:
            return _tokens(orjson.loads(body))
        except orjson.JSONDecodeError:
            return _usage_of_events(body)


class ResponsesShape(OpenAiShape):
    """The same, but a stream of responses says it by the name of the event."""

    @staticmethod
    def stream_error(code: str, what: str) -> bytes:
        """An event of the type ``error``."""
        error = {"type": "error", "code": code, "message": what, "param": None}
        return b"event: error\ndata: " + orjson.dumps(error) + b"\n\n"


OPENAI = OpenAiShape()
RESPONSES = ResponsesShape()


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelEndpoint(Endpoint):
    """An endpoint whose body names the model, and by it the use case.

    Attributes:
        keeps: whether an answer may be fetched later.
    """

    keeps: bool = False

    def read(self, body: bytes) -> Asked:
        """Model, use case, and whether a stream or a background answer is wanted.

        Raises:
            Refused: not a JSON object, no model, members that occur twice (400); an unknown model (404).
        """
        members = _object(body)
        model = members.get("model")
        if not isinstance(model, str):
            raise malformed("The request names no model.")
        use = self.by_model.get(model)
        if use is None:
            raise Refused(Reason.NO_ROUTE, 404, "No such model is served here.")
        stream = members.get("stream") is True
        background = members if self.keeps and members.get("background") is True else None
        if stream and background is not None:
            raise malformed("A response in the background is not streamed.")
        return Asked(use, model, stream, background)


def openai_endpoints(prefix: str, served: Sequence[tuple[str, UseCaseStages]]) -> list[Declared]:
    """All endpoints under one prefix, for the models that are served there with their use cases."""
    by_model = dict(served)
    uses = tuple({use.id: use for use in by_model.values()}.values())
    root = prefix.encode()

    def asked(
        label: str,
        shape: OpenAiShape = OPENAI,
        *,
        end_marks: tuple[bytes, ...] = (),
        hold_marks: tuple[bytes, ...] = (),
        keeps: bool = False,
    ) -> ModelEndpoint:
        return ModelEndpoint(
            label=label,
            work=Work.FORWARD,
            shape=shape,
            uses=uses,
            by_model=by_model,
            end_marks=end_marks,
            hold_marks=hold_marks,
            inspected=True,
            keeps=keeps,
        )

    def own(label: str, work: Work) -> Endpoint:
        return Endpoint(label=label, work=work, shape=OPENAI, uses=uses, by_model=by_model)

    chat = asked("chat/completions", end_marks=_DONE, hold_marks=_FINISHED)
    completions = asked("completions", end_marks=_DONE, hold_marks=_FINISHED)
    responses = asked("responses", RESPONSES, end_marks=_COMPLETED, keeps=True)
    return [
        Declared("POST", root + b"/chat/completions", chat),
        Declared("POST", root + b"/completions", completions),
        Declared("POST", root + b"/embeddings", asked("embeddings")),
        Declared("POST", root + b"/responses", responses),
        Declared("GET", root + b"/responses/*", own("responses/read", Work.READ_ANSWER)),
        Declared("POST", root + b"/responses/*/cancel", own("responses/cancel", Work.CANCEL_ANSWER)),
        Declared("GET", root + b"/models", own("models", Work.MODELS)),
        Declared("GET", root + b"/models/*", own("models", Work.MODELS)),
        Declared("POST", root + b"/feedback", own("feedback", Work.FEEDBACK)),
    ]


def models_body(models: Sequence[str], only: str) -> bytes:
    """The list of models, or one of them.

    Raises:
        Refused: ``only`` names a model that is not in the list (404).
    """
    items = [{"id": model, "object": "model", "created": 0, "owned_by": "roadworthy"} for model in models]
    if not only:
        return orjson.dumps({"object": "list", "data": items})
    for item in items:
        if item["id"] == only:
            return orjson.dumps(item)
    raise Refused(Reason.NO_ROUTE, 404, "No such model is served here.")


def _object(body: bytes) -> dict[str, Any]:
    try:
        members = orjson.loads(body)
        # orjson keeps the last of two equal names, an upstream may keep the first. Both spellings of a second one are
        # rare enough for the strict reader, which is slow.
        counts = body.count(b'"model"'), body.count(b'"background"'), body.count(b'"stream"')
        if max(counts) > 1 or _ESCAPED_NAME.search(body):
            parse_json(body)
    except orjson.JSONDecodeError as error:
        raise malformed("The body is not JSON.") from error
    except NotCanonical as error:
        raise malformed("The body is not strict JSON; a member may occur twice.") from error
    if not isinstance(members, dict):
        raise malformed("The body is not a JSON object.")
    if not _READ.isdisjoint(map(str.casefold, members.keys() - _READ)):
        raise malformed("A member of the body differs from model, background or stream by upper and lower case only.")
    return members


def _tokens(answer: Any) -> tuple[int, int]:
    usage = answer.get("usage") if isinstance(answer, dict) else None
    if not isinstance(usage, dict):
        return 0, 0
    asked = usage.get("prompt_tokens", usage.get("input_tokens", 0))
    said = usage.get("completion_tokens", usage.get("output_tokens", 0))
    whole = [value if isinstance(value, int) and 0 <= value < 2**53 else 0 for value in (asked, said)]
    return int(whole[0]), int(whole[1])


def _usage_of_events(body: bytes) -> tuple[int, int]:
    """The last usage that a piece of a stream states."""
    found = (0, 0)
    for line in body.splitlines():
        if line.startswith(b"data:") and b'"usage"' in line:
            try:
                event = orjson.loads(line[5:])
            except orjson.JSONDecodeError:
                continue
            tokens = _tokens(event.get("response", event) if isinstance(event, dict) else event)
            found = tokens if any(tokens) else found
    return found
