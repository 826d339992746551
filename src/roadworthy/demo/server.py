"""A model behind HTTP: ``python -m roadworthy.demo.server --folder FOLDER --port N``. Owns the Open Inference endpoint.

It takes one tensor, ``features``, FP64 of shape [n, k], row by row, with null for a missing value, and answers with one
tensor, ``probability``, FP64 of shape [n].

The folder holds ``serving.yaml``, which names the model file and says whether requests are validated::

    model: models/breast.json
    validation: "on"

With validation off the server does what many pilots do: it takes what comes, imputes what it cannot use, and scores
with confidence. With validation on it rejects what it cannot understand, and declines rows that lie far outside what
the model was trained on or lack more than two thirds of their values: their score is null, which means undecided.

Where the folder holds ``release.json``, which whoever deploys writes, it is told at ``/release``, so that a gateway knows
which release answers.
"""

import argparse
import json
import math
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import uvicorn
import yaml
from numpy.typing import NDArray

from roadworthy.base.errors import ManifestError, MissingFile, RoadworthyError
from roadworthy.demo.asgi import Message, Receive, Send, end_with_stdin, read_body
from roadworthy.demo.model import LogisticModel, load

RELEASE = "release.json"
_MATRIX = 2
_MAX_BODY_BYTES = 16 * 1024 * 1024
_OUTSIDE_RANGES = 3.0
_MOST_MISSING_SHARE = 2 / 3
_LARGEST = sys.float_info.max


class Rejected(Exception):
    """A request that the server does not understand; never leaves this module."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """What ``serving.yaml`` says, and the content of ``release.json``, if there is one."""

    model: LogisticModel
    validates: bool
    release: bytes | None = None


def read_serving(folder: Path) -> Serving:
    """Read ``serving.yaml`` and the model that it names.

    Raises:
        MissingFile: one of them is not there (RW-102).
        ManifestError: unknown or missing keys (RW-101).
    """
    path = folder / "serving.yaml"
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise MissingFile("There is no serving.yaml.", remedy="Write one.", where=str(path)) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ManifestError("serving.yaml is not YAML.", remedy="Correct its indentation.", where=str(path)) from error
    if (
        not isinstance(content, dict)
        or set(content) != {"model", "validation"}
        or content["validation"] not in ("on", "off")
    ):
        raise ManifestError(
            "serving.yaml needs model: and validation:.",
            remedy='Write validation: "on" or "off", in quotes.',
            where=str(path),
        )
    deployed = folder / RELEASE
    return Serving(
        model=load(folder / str(content["model"])),
        validates=content["validation"] == "on",
        release=deployed.read_bytes() if deployed.is_file() else None,
    )


class Application:
    """The ASGI application."""

    def __init__(self, serving: Serving) -> None:
        self._model, self._validates = serving.model, serving.validates
        base = f"/v2/models/{self._model.name}"
        self._infer_path = f"{base}/infer"
        documents: dict[str, Any] = {
            "/v2": {"name": "roadworthy-demo", "version": "1", "extensions": []},
            "/v2/health/live": {"live": True},
            "/v2/health/ready": {"ready": True},
            base: self._metadata(),
            f"{base}/ready": {"ready": True},
        }
        self._documents = {path: json.dumps(document).encode() for path, document in documents.items()}
        if serving.release is not None:
            self._documents["/release"] = serving.release

    def _metadata(self) -> dict[str, Any]:
        return {
            "name": self._model.name,
            "versions": ["1"],
            "platform": "roadworthy-logistic",
            "inputs": [{"name": "features", "datatype": "FP64", "shape": [-1, len(self._model.features)]}],
            "outputs": [{"name": "probability", "datatype": "FP64", "shape": [-1]}],
        }

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            return
        path, method = scope["path"], scope["method"]
        if method == "POST" and path == self._infer_path:
            status, body = self._infer(await read_body(receive, _MAX_BODY_BYTES))
        elif method == "GET" and path in self._documents:
            status, body = 200, self._documents[path]
        else:
            status, body = 404, _error(f"There is no {method} {path}.")
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def _infer(self, content: bytes | None) -> tuple[int, bytes]:
        if content is None:
            return 413, _error(f"The body is larger than {_MAX_BODY_BYTES} bytes.")
        try:
            rows = self._strict(content) if self._validates else self._trusting(content)
        except Rejected as error:
            return 400, _error(str(error))
        scores = self._model.score(rows)
        data: list[float | None] = scores.tolist()
        if self._validates:
            data = [None if decline else value for decline, value in zip(self._declines(rows), data, strict=True)]
        output = {"name": "probability", "datatype": "FP64", "shape": [len(data)], "data": data}
        return 200, json.dumps({"model_name": self._model.name, "model_version": "1", "outputs": [output]}).encode()

    def _declines(self, rows: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Rows far outside the training range, or mostly missing."""
        width = self._model.highest - self._model.lowest
        far = (rows < self._model.lowest - _OUTSIDE_RANGES * width) | (
            rows > self._model.highest + _OUTSIDE_RANGES * width
        )
        missing: NDArray[np.float64] = np.isnan(rows).mean(axis=1)
        declined: NDArray[np.bool_] = far.any(axis=1) | (missing > _MOST_MISSING_SHARE)
        return declined

    def _trusting(self, content: bytes) -> NDArray[np.float64]:
        """What a pilot does: take the numbers that are there, impute the rest, ask nothing."""
        data = json.loads(content)["inputs"][0]["data"]
        width = len(self._model.features)
        values = [value if isinstance(value, int | float) else math.nan for value in data]
        values += [math.nan] * (-len(values) % width)
        return np.asarray(values, dtype=np.float64).reshape(-1, width)

    def _strict(self, content: bytes) -> NDArray[np.float64]:
        """The one input, checked in every respect."""
        try:
            value = json.loads(content.decode("utf-8"), parse_constant=_refuse_constant)
        except (ValueError, RecursionError) as error:
            raise Rejected("The body is not JSON in UTF-8.") from error
        inputs = value.get("inputs") if isinstance(value, dict) else None
        if not isinstance(inputs, list) or len(inputs) != 1 or not isinstance(inputs[0], dict):
            raise Rejected("inputs must be a list of exactly one tensor.")
        return self._tensor(inputs[0])

    def _tensor(self, tensor: dict[str, Any]) -> NDArray[np.float64]:
        width = len(self._model.features)
        shape, data = tensor.get("shape"), tensor.get("data")
        if tensor.get("name") != "features" or tensor.get("datatype") != "FP64":
            raise Rejected("The tensor must be named features, of datatype FP64.")
        if not isinstance(shape, list) or len(shape) != _MATRIX or shape[1] != width or not isinstance(data, list):
            raise Rejected(f"The shape must be [n, {width}].")
        if not isinstance(shape[0], int) or isinstance(shape[0], bool) or shape[0] < 1 or len(data) != shape[0] * width:
            raise Rejected("There must be at least one row, and as many values as the shape says.")
        for each in data:
            number = isinstance(each, int | float) and not isinstance(each, bool)
            # An integer beyond every float compares, where math.isfinite would overflow.
            if each is not None and not (number and -_LARGEST <= each <= _LARGEST):
                raise Rejected("A value is neither a finite number nor null.")
        values = [math.nan if each is None else float(each) for each in data]
        return np.asarray(values, dtype=np.float64).reshape(shape[0], width)


def _refuse_constant(name: str) -> float:
    raise ValueError(name)


def _error(what: str) -> bytes:
    return json.dumps({"error": what}).encode()


def main() -> None:
    """Serve until stopped."""
    parser = argparse.ArgumentParser(description="Serve a model over the Open Inference Protocol, version 2.")
    parser.add_argument("--folder", type=Path, required=True, help="folder with serving.yaml")
    parser.add_argument("--port", type=int, required=True, help="port on 127.0.0.1")
    parser.add_argument("--until-stdin-closes", action="store_true", help="end with the process that started it")
    arguments = parser.parse_args()
    try:
        application = Application(read_serving(arguments.folder))
    except RoadworthyError as error:
        sys.exit(str(error))
    if arguments.until_stdin_closes:
        end_with_stdin()
    uvicorn.run(
        application,
        host="127.0.0.1",
        port=arguments.port,
        log_level="warning",
        access_log=False,
        http="httptools",
        lifespan="off",
    )


if __name__ == "__main__":
    main()
