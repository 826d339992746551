"""A caller of the policy search through its gateway. Owns the request, made from the released prompt, and its reading."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from roadworthy.base.errors import MissingFile
from roadworthy.measure.answers.prompt_file import read_prompts
from roadworthy.measure.answers.prompts import Prompt
from roadworthy.probes.http import Answer, Endpoint, encode_json, parse_json, read_headers
from roadworthy.probes.open_inference import RUNG_HEADER

PROMPT = "ask"
_TIMEOUT_S = 20.0
_OK = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyAnswer:
    """What a caller got.

    Attributes:
        status: of HTTP.
        text: the answer, or why there is none.
        sources: ids that it cites, as the caller may see them.
        rung: fallback that answered; "" when the primary did, or nobody.
        notice: what the caller was told about it.
        record: id of the exchange.
        index: of the record of its end in the ledger; -1 when none was told.
    """

    status: int
    text: str
    sources: tuple[str, ...]
    rung: str
    notice: str
    record: str
    index: int


class PolicyCaller:
    """Asks as one person.

    Args:
        url: of the gateway.
        headers: file with the person's key.
        prompts: the prompt set of the release.

    Raises:
        MissingFile: one of them is not there, or the set has no such prompt (RW-102).
        ManifestError: the headers or the prompt set cannot be read (RW-101).
    """

    def __init__(self, url: str, headers: Path, prompts: Path) -> None:
        self._url, self._headers = url, read_headers(headers)
        self._prompt = _prompt(prompts)

    def ask(self, question: str, scope: str) -> PolicyAnswer:
        """Ask a question, naming the data scope that it is asked under.

        Raises:
            TargetUnreachable: the gateway does not answer (RW-401).
            TargetAnswer: it does, and not in JSON (RW-402).
        """
        text = self._prompt.fill({"question": question})
        message = {"role": "user", "content": text}
        body = {"model": self._prompt.model, **self._prompt.parameters, "messages": [message]}
        answer = self._post("/v1/chat/completions", body, {"x-data-scope": scope})
        return _read(answer, self._url)

    def rate(self, record: str, rating: int, comment: str) -> int:
        """Say what the answer was worth, from -100 to 100; the index of the feedback's own record.

        Raises:
            TargetUnreachable: the gateway does not answer (RW-401).
        """
        body = {"record": record, "rating": rating, "comment": comment}
        answer = self._post("/v1/feedback", body, {"x-data-scope": "internal"})
        return int(answer.headers.get("x-roadworthy-index", "-1"))

    def _post(self, path: str, body: Mapping[str, Any], more: Mapping[str, str]) -> Answer:
        endpoint = Endpoint(self._url, {**self._headers, **more})
        return endpoint.exchange("POST", path, encode_json(body), _TIMEOUT_S)


def _prompt(path: Path) -> Prompt:
    found = {each.name: each for each in read_prompts(path) or ()}
    if PROMPT not in found:
        raise MissingFile(f"{path.name} has no prompt {PROMPT!r}.", remedy="Add it to the prompt set.", where=str(path))
    return found[PROMPT]


def _read(answer: Answer, where: str) -> PolicyAnswer:
    document = parse_json(answer, where)
    good = answer.status == _OK
    text = document["choices"][0]["message"]["content"] if good else document["error"]["message"]
    return PolicyAnswer(
        status=answer.status,
        text=str(text),
        sources=tuple(str(each["id"]) for each in document.get("citations", ())) if good else (),
        rung=answer.headers.get(RUNG_HEADER, ""),
        notice=answer.headers.get("x-roadworthy-notice", ""),
        record=answer.headers.get("x-roadworthy-record", ""),
        index=int(answer.headers.get("x-roadworthy-index", "-1")),
    )
