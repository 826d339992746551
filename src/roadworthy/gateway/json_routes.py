"""Declared JSON routes. Owns their endpoints and the problem documents (RFC 9457) in which the gateway says no."""

import orjson

from roadworthy.gateway.config import JsonRoute
from roadworthy.gateway.exchange import Refused
from roadworthy.gateway.routes import Declared, Endpoint, Work
from roadworthy.gateway.stages import UseCaseStages

_TYPE = "https://roadworthy.dev/gateway/"


class ProblemShape:
    """RFC 9457."""

    @staticmethod
    def error(refused: Refused, record: str) -> tuple[bytes, bytes]:
        """A problem document; ``type`` ends in the reason that stands in the leaf."""
        reason = refused.reason.value
        problem = {
            "type": _TYPE + reason,
            "title": reason.replace("_", " "),
            "status": refused.status,
            "detail": refused.what,
            "record": record,
        }
        return b"application/problem+json", orjson.dumps(problem)

    @staticmethod
    def stream_error(code: str, what: str) -> bytes:
        """An event of the name ``error``."""
        return b"event: error\ndata: " + orjson.dumps({"type": _TYPE + code, "detail": what}) + b"\n\n"

    @staticmethod
    def usage(_body: bytes) -> tuple[int, int]:
        """A declared route has no common way to state usage."""
        return 0, 0


PROBLEM = ProblemShape()


def json_endpoints(route: JsonRoute, use: UseCaseStages) -> list[Declared]:
    """The endpoint of one declared route."""
    endpoint = Endpoint(label=route.path, work=Work.FORWARD, shape=PROBLEM, uses=(use,), inspected=True)
    return [Declared(route.method, route.path.encode(), endpoint)]
