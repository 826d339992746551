"""The Open Inference Protocol, version 2, for one model. Owns its paths and its errors; every body passes unchanged.

Health and metadata go the whole way, to the upstream and into the ledger: the gateway never answers in its stead.
"""

import orjson

from roadworthy.gateway.config import OpenInferenceRoute
from roadworthy.gateway.exchange import Refused
from roadworthy.gateway.routes import Declared, Endpoint, Work
from roadworthy.gateway.stages import UseCaseStages


class OpenInferenceShape:
    """``{"error": text}``."""

    @staticmethod
    def error(refused: Refused, _record: str) -> tuple[bytes, bytes]:
        """The protocol's only error document."""
        return b"application/json", orjson.dumps({"error": refused.what})

    @staticmethod
    def stream_error(_code: str, what: str) -> bytes:
        """The same document as an event."""
        return b"event: error\ndata: " + orjson.dumps({"error": what}) + b"\n\n"

    @staticmethod
    def usage(_body: bytes) -> tuple[int, int]:
        """The protocol states none."""
        return 0, 0


OPEN_INFERENCE = OpenInferenceShape()


def open_inference_endpoints(route: OpenInferenceRoute, use: UseCaseStages) -> list[Declared]:
    """Health, metadata and inference, with and without a version in the path."""
    prefix, model = route.prefix.encode(), b"/models/" + route.model.encode()

    def at(label: str, *, inspected: bool = False) -> Endpoint:
        return Endpoint(
            label=label, work=Work.FORWARD, shape=OPEN_INFERENCE, uses=(use,), model=route.model, inspected=inspected
        )

    ready, metadata, infer = at("model-ready"), at("model-metadata"), at("infer", inspected=True)
    return [
        Declared("GET", prefix, at("server-metadata")),
        Declared("GET", prefix + b"/health/live", at("health-live")),
        Declared("GET", prefix + b"/health/ready", at("health-ready")),
        Declared("GET", prefix + model, metadata),
        Declared("GET", prefix + model + b"/ready", ready),
        Declared("POST", prefix + model + b"/infer", infer),
        Declared("GET", prefix + model + b"/versions/*/ready", ready),
        Declared("POST", prefix + model + b"/versions/*/infer", infer),
        Declared("GET", prefix + model + b"/versions/*", metadata),
    ]
