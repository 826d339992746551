import time

import pytest
from probe_servers import Close, Reset, answer, slowly

from roadworthy.base.errors import InputError, ManifestError, MissingFile, TargetAnswer, TargetUnreachable
from roadworthy.probes import http as probe_http
from roadworthy.probes.http import Endpoint, read_headers, timed_out


def test_json_goes_out_and_comes_back(serve):
    """Method, path under the prefix, body and headers arrive; the answer is read."""
    server = serve(lambda _: answer(201, {"ok": [1, None]}, extra="X-Trace: 7\r\n"))
    response = Endpoint(server.url + "/base/").request_json("POST", "/a?b=c", {"x": "ü"}, 5, statuses=(200, 201))
    assert (response.status, response.body, response.headers["x-trace"]) == (201, {"ok": [1, None]}, "7")
    assert 0 < response.elapsed_s < 5
    asked = server.asked[0]
    assert (asked.method, asked.path, asked.body) == ("POST", "/base/a?b=c", '{"x":"ü"}'.encode())
    assert asked.headers["content-type"] == "application/json"


def test_get_has_no_body(serve):
    """None means that nothing is sent."""
    server = serve(lambda _: answer())
    Endpoint(server.url).request_json("GET", "/", None, 5)
    assert server.asked[0].body == b""
    assert "content-type" not in server.asked[0].headers


def test_chunked_answers_are_read(serve):
    """A body in chunks is put together."""
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n[\r\n1\r\n]\r\n0\r\n\r\n"
    assert Endpoint(serve(lambda _: chunked).url).request_json("GET", "/", None, 5).body == []


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (answer(500, {"error": "boom"}), "Status 500, not 200: .*boom"),
        (answer(200, b"<html><title>Login</title>", "text/html"), "HTML: <html>"),
        (answer(200, b"hello"), "not JSON: hello"),
        (answer(200, b""), r"not JSON: \(empty\)"),
        (answer(200, b'{"x": NaN}'), "not JSON"),
        (answer(200, '{"x": "ü"}'.encode("latin-1")), "not JSON"),
        (answer(200, b"[" * 200_000), "not JSON"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "not HTTP"),
    ],
)
def test_answers_that_are_not_json_of_the_right_status_are_refused(serve, reply, words):
    """RW-402 with the URL, the beginning of what came, and a remedy."""
    server = serve(lambda _: reply)
    with pytest.raises(TargetAnswer, match=words) as caught:
        Endpoint(server.url).request_json("GET", "/x", None, 5)
    assert caught.value.where == server.url + "/x"
    assert caught.value.remedy


@pytest.mark.parametrize(
    "reply",
    [
        Reset,
        Close,
        b"",
        [b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\nConnection: close\r\n\r\n{}"],
        [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n{}"],
    ],
)
def test_a_connection_that_ends_early_is_unreachable_and_not_a_timeout(serve, reply):
    """RW-401; the caller can tell a reset from a hang."""

    def respond(_):
        if isinstance(reply, list):
            return ending(reply)
        return reply or Close

    with pytest.raises(TargetUnreachable) as caught:
        Endpoint(serve(respond).url).request_json("GET", "/", None, 5)
    assert not timed_out(caught.value)


def ending(parts):
    yield from parts
    raise OSError("ends the connection")


def test_nothing_listens(closed_port):
    """RW-401 at once."""
    with pytest.raises(TargetUnreachable) as caught:
        Endpoint(f"http://127.0.0.1:{closed_port}").request_json("GET", "/", None, 5)
    assert not timed_out(caught.value)


@pytest.mark.parametrize(
    "parts",
    [
        [b"HTTP/1.1 200 OK\r\n"] + [b"X-%d: y\r\n" % index for index in range(100)],
        [b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"] + [b"x"] * 100,
    ],
)
def test_a_target_that_trickles_is_hung(serve, parts):
    """The deadline is for the whole answer: a byte now and then does not extend it, in the head or in the body."""
    server = serve(lambda _: slowly(parts, 0.1))
    begun_s = time.perf_counter()
    with pytest.raises(TargetUnreachable, match=r"0\.5 s") as caught:
        Endpoint(server.url).request_json("GET", "/", None, 0.5)
    assert timed_out(caught.value)
    assert time.perf_counter() - begun_s < 1.5


def test_an_answer_without_end_is_refused(serve, monkeypatch):
    """More than the limit is not read."""
    monkeypatch.setattr(probe_http, "MAX_ANSWER_BYTES", 100_000)
    with pytest.raises(TargetAnswer, match="larger than 100000 bytes"):
        Endpoint(serve(lambda _: answer(200, b"x" * 300_000)).url).exchange("GET", "/", None, 5)


def test_a_body_without_json_form_is_refused_before_it_is_sent(serve):
    """NaN is not JSON."""
    server = serve(lambda _: answer())
    for body in ({"x": float("nan")}, {"x": {1}}):
        with pytest.raises(InputError, match="no JSON form"):
            Endpoint(server.url).request_json("POST", "/", body, 5)
    assert server.asked == []


def test_a_server_without_tls_is_not_reached_over_https(serve):
    """A failed handshake is RW-401, and leaves no open socket behind."""
    server = serve(lambda _: answer())
    with pytest.raises(TargetUnreachable):
        Endpoint(server.url.replace("http:", "https:")).request_json("GET", "/", None, 2)


@pytest.mark.parametrize("url", ["ftp://x", "localhost:80", "http://", "http://a/?q=1", "http://a:b/", "http://u:p@a/"])
def test_urls_that_cannot_be_used_are_refused(url):
    """RW-100."""
    with pytest.raises(InputError):
        Endpoint(url)


def test_headers_from_a_file_go_with_every_request(serve, tmp_path):
    """A credential reaches the target beside the probe's own content type."""
    path = tmp_path / "headers.json"
    path.write_text('{"authorization": "Bearer rw_x_1", "x-purpose": "triage"}')
    server = serve(lambda _: answer())
    endpoint = Endpoint(server.url, read_headers(path))
    endpoint.request_json("GET", "/", None, 5)
    endpoint.request_json("POST", "/", {}, 5)
    assert [each.headers["authorization"] for each in server.asked] == ["Bearer rw_x_1"] * 2
    assert (server.asked[1].headers["x-purpose"], server.asked[1].headers["content-type"]) == (
        "triage",
        "application/json",
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('["secret-1"]', "no object"),
        ("{secret-1", "not JSON"),
        ('{"x": 7}', "'x' cannot be sent"),
        ('{"x": "secret-1\\r\\ny: z"}', "'x' cannot be sent"),
        ('{"x y": "secret-1"}', "'x y' cannot be sent"),
        ('{"Host": "secret-1"}', "'Host' cannot be sent"),
        ('{"x": "secret-1ü"}', "'x' cannot be sent"),
    ],
)
def test_headers_that_cannot_be_sent_are_refused_without_their_values(tmp_path, text, words):
    """RW-101; what may be a credential stands in no message, and neither does a parser's cause."""
    path = tmp_path / "headers.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ManifestError, match=words) as caught:
        read_headers(path)
    assert "secret-1" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_file_of_headers_that_is_absent_is_named(tmp_path):
    """RW-102."""
    with pytest.raises(MissingFile, match=r"headers\.json"):
        read_headers(tmp_path / "headers.json")
