import json

import pytest
from gateway_rig import OpenAiRoute, Rig, run_call

from roadworthy.gateway.app import build_router, use_case_stages
from roadworthy.gateway.config import Limits, UseCase
from roadworthy.gateway.exchange import Reason, Refused
from roadworthy.gateway.json_routes import PROBLEM
from roadworthy.gateway.open_inference_routes import OPEN_INFERENCE
from roadworthy.gateway.openai_routes import OPENAI, RESPONSES, models_body
from roadworthy.gateway.routes import Work, upstream_headers


def router():
    rig = Rig()
    return build_router([(rig.use, rig.routes)])


@pytest.mark.parametrize(
    ("method", "path", "label"),
    [
        ("POST", "/v1/chat/completions", "chat/completions"),
        ("POST", "/v1/completions", "completions"),
        ("POST", "/v1/embeddings", "embeddings"),
        ("POST", "/v1/responses", "responses"),
        ("GET", "/v1/responses/resp_1", "responses/read"),
        ("POST", "/v1/responses/resp_1/cancel", "responses/cancel"),
        ("GET", "/v1/models", "models"),
        ("GET", "/v1/models/org/m-2", "models"),
        ("POST", "/v1/feedback", "feedback"),
        ("POST", "/feedback", "feedback"),
        ("GET", "/v2", "server-metadata"),
        ("GET", "/v2/health/live", "health-live"),
        ("GET", "/v2/health/ready", "health-ready"),
        ("GET", "/v2/models/heart", "model-metadata"),
        ("GET", "/v2/models/heart/ready", "model-ready"),
        ("POST", "/v2/models/heart/infer", "infer"),
        ("GET", "/v2/models/heart/versions/3", "model-metadata"),
        ("GET", "/v2/models/heart/versions/3/ready", "model-ready"),
        ("POST", "/v2/models/heart/versions/3/infer", "infer"),
        ("POST", "/predict", "/predict"),
    ],
)
def test_declared_paths_are_found(method, path, label):
    """The whole declared surface."""
    endpoint, _ = router().find(method, path.encode())
    assert endpoint is not None and endpoint.label == label


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/chat/completions"),
        ("POST", "/v1/models"),
        ("DELETE", "/v1/responses/resp_1"),
        ("POST", "/v1/chat/completions/"),
        ("POST", "/v1//chat/completions"),
        ("POST", "/v1/%63hat/completions"),
        ("POST", "/v1/../v1/chat/completions"),
        ("POST", "/v2/models/other/infer"),
        ("POST", "/v2/models/heart/versions/../infer"),
        ("POST", "/v2/models/heart/versions/a%2fb/infer"),
        ("POST", "/v2/models/heart/versions/a/b/infer"),
        ("POST", "/v2/models/heart/versions//infer"),
        ("GET", "/v1/responses/"),
        ("PUT", "/predict"),
        ("GET", ""),
    ],
)
def test_everything_else_is_nowhere(method, path):
    """No path is decoded or normalised, so nobody can read it in two ways."""
    assert router().find(method, path.encode())[0] is None


def test_a_refusal_at_an_unknown_path_is_worded_like_its_neighbours():
    """An OpenAI client gets an OpenAI error, everybody else a problem document."""
    found = router()
    assert found.shape_of(b"/v1/nothing", PROBLEM) is OPENAI
    assert found.shape_of(b"/v2/nothing", PROBLEM) is OPEN_INFERENCE
    assert found.shape_of(b"/elsewhere", PROBLEM) is PROBLEM and found.shape_of(b"/predict", OPENAI) is PROBLEM


def test_two_use_cases_share_a_prefix_by_their_models():
    """The model in the body names the use case."""
    one, other = Rig(id="one").use, Rig(id="other").use
    routes = [OpenAiRoute(protocol="openai", models=[name]) for name in ("a", "b")]
    endpoint, _ = build_router([(one, routes[:1]), (other, routes[1:])]).find("POST", b"/v1/embeddings")
    assert endpoint.read(b'{"model":"a"}').use is one and endpoint.read(b'{"model":"b"}').use is other


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"[]", 400),
        (b"{", 400),
        (b"{}", 400),
        (b'{"model":7}', 400),
        (b'{"model":"m-1","model":"m-1"}', 400),
        (b'{"model":"m-1","mod\\u0065l":"org/m-2"}', 400),
        (b'{"model":"m-1","background":true,"background":false}', 400),
        (b'{"model":"m-1","stream":true,"background":true}', 400),
        (b'{"model":"m-1","stream":true,"stream":false}', 400),
        (b'{"model":"m-1","Model":"org/m-2"}', 400),
        (b'{"MODEL":"org/m-2","model":"m-1"}', 400),
        (b'{"model":"m-1","\\u004dodel":"org/m-2"}', 400),
        (b'{"model":"m-1","Background":true}', 400),
        (b'{"model":"m-1","\xc5\xbftream":true}', 400),
        (b'{"model":"elsewhere"}', 404),
    ],
)
def test_a_body_that_can_be_read_in_two_ways_is_refused(body, status):
    """So are those that name no model, or one that is not served."""
    endpoint, _ = router().find("POST", b"/v1/responses")
    with pytest.raises(Refused) as caught:
        endpoint.read(body)
    assert caught.value.status == status


def test_the_word_model_may_occur_elsewhere():
    """A second "model" deeper inside, or an escaped letter in a text, costs time but is allowed."""
    endpoint, _ = router().find("POST", b"/v1/chat/completions")
    body = b'{"model":"m-1","stream":true,"tools":[{"model":"x","Model":"y"}],"models":1,"messages":[{"content":"\\u0061"}]}'
    asked = endpoint.read(body)
    assert (asked.model, asked.stream, asked.background) == ("m-1", True, None)


@pytest.mark.parametrize(
    ("body", "usage"),
    [
        (b'{"usage":{"prompt_tokens":3,"completion_tokens":4}}', (3, 4)),
        (b'{"usage":{"input_tokens":3,"output_tokens":4}}', (3, 4)),
        (b'{"usage":{"prompt_tokens":"3","completion_tokens":-4}}', (0, 0)),
        (b'{"usage":null}', (0, 0)),
        (b'["usage"]', (0, 0)),
        (b'{"usage":{}}', (0, 0)),
        (b"{}", (0, 0)),
        (b'{"usage":{"prompt_tokens":3}}' + b" " * 70_000, (0, 0)),
        (b'data: {"usage":{"prompt_tokens":3}}\n\ndata: {"usage":null}\n\ndata: ["usage"]\n\ndata: [DONE]\n\n', (3, 0)),
        (b'data: {"usage" broken\n\n', (0, 0)),
        (b'x"usage"', (0, 0)),
    ],
)
def test_usage_is_read_where_it_is_stated(body, usage):
    """From small JSON answers and from the end of streams; anything else is zero, never an error."""
    assert OPENAI.usage(body) == usage


def test_refusals_have_the_shape_of_their_protocol():
    """OpenAI errors, problem documents, and the one member of Open Inference."""
    refused = Refused(Reason.FORBIDDEN, 403, "No.")
    kind, body = OPENAI.error(refused, "r-1")
    error = json.loads(body)["error"]
    assert kind == b"application/json" and error["type"] == "permission_error" and error["record"] == "r-1"
    assert json.loads(OPENAI.error(Refused(Reason.OVERLOADED, 503, "x"), "")[1])["error"]["type"] == "server_error"
    kind, body = PROBLEM.error(refused, "r-1")
    assert kind == b"application/problem+json" and json.loads(body)["type"].endswith("/forbidden")
    assert OPEN_INFERENCE.error(refused, "r-1") == (b"application/json", b'{"error":"No."}')
    assert PROBLEM.usage(b"") == OPEN_INFERENCE.usage(b"") == (0, 0)


def test_broken_streams_are_worded_in_their_protocol():
    """Each is one whole event."""
    for shape in (OPENAI, RESPONSES, PROBLEM, OPEN_INFERENCE):
        event = shape.stream_error("stream_cut", "It broke.")
        assert event.endswith(b"\n\n") and b"It broke." in event and event.count(b"\n\n") == 1


def test_models_are_those_that_the_caller_may_use():
    """The list and the single model; what the policy denies is not there at all."""
    rig = Rig()
    reply = run_call(rig, "GET", "/v1/models")
    assert [item["id"] for item in reply.json()["data"]] == ["m-1", "org/m-2"]
    assert run_call(rig, "GET", "/v1/models/org/m-2").json()["id"] == "org/m-2"
    assert run_call(rig, "GET", "/v1/models/org%2Fm-2").json()["object"] == "model"
    assert run_call(rig, "GET", "/v1/models/none").status == 404
    rig.authorise.denied.add("triage")
    assert run_call(rig, "GET", "/v1/models").json()["data"] == []
    assert run_call(rig, "GET", "/v1/models/m-1").status == 404
    assert {leaf["kind"] for leaf in rig.ledger.leaves} == {"exchange.outcome"} and rig.answerer.questions == []


def test_a_caller_cannot_speak_for_a_proxy():
    """Where a request came from, ours and what a server may read as another name stay here; the body's type does not."""
    rig = Rig()
    kept = [(b"content-type", b"application/json"), (b"content-encoding", b"identity"), (b"x-trace", b"1")]
    dropped = [
        b"forwarded", b"x-forwarded-for", b"x-forwarded-host", b"x-real-ip", b"proxy", b"x-roadworthy-caller",
        b"x_forwarded_for", b"content_type", b"x-hop",
    ]  # fmt: skip
    connection = (b"connection", b"close, X-Hop, Content-Type, content-encoding")
    found = upstream_headers([*kept, connection, *((name, b"1") for name in dropped)], rig.use, rig.trace.begin([]))
    assert [header for header in found if header[0] not in (b"traceparent", b"tracestate")] == kept


def test_an_empty_list_of_models_is_a_list():
    """No model is no error."""
    assert json.loads(models_body([], "")) == {"object": "list", "data": []}


def test_open_inference_passes_through():
    """Health and metadata are the upstream's answers too, with both leaves."""
    rig = Rig()
    reply = run_call(rig, "GET", "/v2/health/ready")
    assert reply.status == 200 and rig.answerer.questions[0].method == b"GET"
    assert [leaf["route"] for leaf in rig.ledger.leaves] == ["health-ready", "health-ready"]
    run_call(rig, "POST", "/v2/models/heart/infer", b'{"inputs":[]}')
    assert rig.ledger.leaves[-1]["model"] == "heart"


def test_a_use_case_becomes_stages_by_its_configuration():
    """Header names are compared in lower case; the deadline is longer than the ladder's."""
    rig = Rig()
    config = UseCase.model_validate(
        {
            "tier": "R3",
            "purposes": ["care"],
            "purpose_header": "X-Purpose",
            "routes": [{"protocol": "json", "path": "/p"}],
            "upstreams": {"primary": {"url": "http://127.0.0.1:1"}},
            "limits": Limits(body_bytes=77, in_flight=3),
        }
    )
    stages = use_case_stages(
        "heart",
        config,
        admit=rig.admit,
        inspect=None,
        cite=None,
        answerer=rig.answerer,
        human=None,
        longest_s=40.0,
    )
    assert (stages.id, stages.purpose_header, stages.body_bytes, stages.in_flight) == ("heart", b"x-purpose", 77, 3)
    assert stages.deadline_s > 40 and Work.FORWARD.value == "forward"
