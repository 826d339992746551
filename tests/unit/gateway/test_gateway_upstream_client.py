"""The upstream client: what goes out, which connection it takes, and how streams flow."""

import asyncio
import datetime as dt
import ipaddress
import ssl

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from fault_server import (
    LOOPS,
    FaultServer,
    always,
    answer,
    asked,
    files_close,
    once,
    open_files,
    run,
    use_case,
)
from upstream_rig import ask_once, client_of

from roadworthy.base.errors import MissingFile, ParameterError
from roadworthy.gateway.exchange import Failure, Refused, UpstreamFailed
from roadworthy.gateway.upstream.address import parse_address
from roadworthy.gateway.upstream.client import UpstreamClient

JSON = (b"content-type", b"application/json")


def test_a_request_is_what_the_caller_said_without_the_hop():
    """Hop-by-hop headers and those that Connection names stay here, but for what describes the body."""
    headers = [
        JSON,
        (b"connection", b"close, X-Hop, Content-Type"),
        (b"x-hop", b"1"),
        (b"te", b"trailers"),
        (b"transfer-encoding", b"chunked"),
        (b"host", b"evil"),
        (b"content-length", b"99"),
        (b"expect", b"100-continue"),
        (b"x-kept", b"a b"),
    ]
    request, _ = ask_once(asked(headers=headers, target=b"/v1/x?y=1"))
    head, _, body = request.partition(b"\r\n\r\n")
    first, host, *rest = head.split(b"\r\n")
    assert first == b"POST /v1/x?y=1 HTTP/1.1"
    assert host.startswith(b"host: 127.0.0.1:")
    assert rest == [b"content-type: application/json", b"x-kept: a b", b"content-length: 7"]
    assert body == b'{"q":1}'


def test_configured_headers_replace_those_of_the_caller(tmp_path):
    """Their values come from files, without the line's end."""
    (tmp_path / "key").write_text("Bearer secret\n")
    request, _ = ask_once(
        asked(headers=[JSON, (b"authorization", b"Bearer caller")]), headers={"Authorization": tmp_path / "key"}
    )
    assert request.count(b"uthorization") == 1
    assert b"\r\nauthorization: Bearer secret\r\n" in request


def test_a_base_path_stands_before_every_target():
    """The URL of an upstream may have a path."""

    async def story():
        async with FaultServer(always(answer())) as server:
            config = use_case(server.port, url=f"http://127.0.0.1:{server.port}/base/")
            client = UpstreamClient("primary", config.upstreams["primary"])
            await client.send(asked(target=b"/v1/x"))
            await client.close()
            return server.requests[0]

    assert run(story).startswith(b"POST /base/v1/x HTTP/1.1\r\n")


@pytest.mark.parametrize(
    "question",
    [
        asked(target=b"/a b"),
        asked(target=b"a"),
        asked(target=b"/a\r\nx: y"),
        asked(headers=[(b"x", b"a\r\nb: c")]),
        asked(headers=[(b"x\n", b"a")]),
        asked(method=b"GET /x HTTP/1.1\r\n\r\nGET"),
    ],
)
def test_what_would_be_two_requests_is_refused(question):
    """Before anything is sent."""

    async def story():
        async with FaultServer(always(answer())) as server:
            client = client_of(server.port)
            with pytest.raises(Refused) as caught:
                await client.send(question)
            assert (caught.value.status, server.connections) == (400, 0)

    run(story)


def test_the_answer_loses_its_hop_too():
    """Hop-by-hop headers and those that Connection names; the rest keeps its order."""
    headers = (
        "content-type: application/json\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\nX-Kept: 2\r\nkeep-alive: 5"
    )
    _, found = ask_once(asked(), answer(headers=headers))
    assert found.headers == [JSON, (b"x-kept", b"2")]
    assert found.attempts[0].outcome == "200"
    assert found.attempts[0].took_us > 0


@pytest.mark.parametrize("method", [b"GET", b"HEAD", b"DELETE"])
def test_other_methods(method):
    """Without a body there is no length, and nothing is judged; HEAD has no body whatever its length says."""
    payload = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n" + (b"" if method == b"HEAD" else b"hello")
    request, found = ask_once(asked(b"", method=method, headers=[]), payload)
    assert b"content-length" not in request
    assert found.body == (b"" if method == b"HEAD" else b"hello")


@pytest.mark.parametrize("headers", [[(b"accept", b"*/*"), (b"content-type", b"text/plain")], [(b"accept", b"*/*")]])
@pytest.mark.parametrize("body", [b"text", b""])
def test_a_caller_cannot_turn_judging_off(headers, body):
    """Whatever it calls its question, and though it sends none: a page is no answer, and broken JSON neither."""
    for page, kind in ((b"<html>", "text/html"), (b"{", "application/json")):
        with pytest.raises(UpstreamFailed) as caught:
            ask_once(asked(body, headers=headers), answer(page, headers=f"content-type: {kind}"))
        assert caught.value.failure in (Failure.WRONG_CONTENT, Failure.MALFORMED)


@pytest.mark.parametrize("loop", LOOPS)
def test_a_connection_is_used_again(loop):
    """One after the other needs one connection, eight at once need eight, and the last one used goes first."""

    async def story():
        async with FaultServer(always(answer())) as server:
            client = client_of(server.port)
            for _ in range(5):
                await client.send(asked())
            assert server.connections == 1
            await asyncio.gather(*(client.send(asked()) for _ in range(8)))
            assert server.connections == client.open_connections == 8
            await client.close()
            await client.close()
            with pytest.raises(UpstreamFailed):
                await client.send(asked())

    run(story, loop)


@pytest.mark.parametrize("payload", [answer(headers="content-type: application/json\r\nconnection: close"), None])
def test_a_connection_that_shall_close_is_not_used_again(payload):
    """By the word of the server, or by HTTP/1.0."""
    payload = payload or b"HTTP/1.0 200 OK\r\ncontent-type: application/json\r\ncontent-length: 1\r\n\r\n1"

    async def story():
        async with FaultServer(always(payload)) as server:
            client = client_of(server.port)
            await client.send(asked())
            await client.send(asked())
            assert server.connections == 2
            await client.close()

    run(story)


def test_bytes_that_nobody_asked_for_end_a_connection():
    """They must not become the next answer."""

    async def play(stage):
        await stage.read()
        stage.write(answer(b'"first"'))
        await asyncio.sleep(0.02)
        stage.write(answer(b'"poison"'))
        await stage.hang()

    async def story():
        async with FaultServer(play, always(answer(b'"second"'))) as server:
            client = client_of(server.port)
            assert (await client.send(asked())).body == b'"first"'
            await asyncio.sleep(0.06)
            assert client.open_connections == 0
            assert (await client.send(asked())).body == b'"second"'
            await client.close()

    run(story)


def dies_when_reused(stage_answer=b""):
    async def play(stage):
        await stage.read()
        stage.write(answer())
        await stage.read()
        stage.write(stage_answer)
        await stage.drain()

    return play


@pytest.mark.parametrize(
    ("idempotent", "method", "partial", "passes"),
    [
        (True, b"POST", b"", True),
        (False, b"POST", b"", False),
        (False, b"GET", b"", True),
        (True, b"POST", b"HTTP", False),
    ],
)
@pytest.mark.parametrize("loop", LOOPS)
def test_a_stale_connection(idempotent, method, partial, passes, loop):
    """Dying without a byte of an answer, it costs a second request only where that is safe; both are written down."""

    async def story():
        async with FaultServer(dies_when_reused(partial), always(answer())) as server:
            client = client_of(server.port, idempotent=idempotent)
            question = asked(method=method)
            await client.send(question)
            attempts = []
            if passes:
                found = await client.send(question, attempts=attempts)
                assert found.attempts is attempts
                assert [each.outcome for each in attempts] == ["reset_before_head", "200"]
            else:
                with pytest.raises(UpstreamFailed) as caught:
                    await client.send(question, attempts=attempts)
                assert caught.value.sent
                assert len(attempts) == 1
            assert len(server.requests) == (3 if passes else 2)
            await client.close()

    run(story, loop)


@pytest.mark.parametrize("loop", LOOPS)
def test_no_more_connections_than_allowed(loop):
    """Others wait in line; who waits too long is told so, and a place is never lost."""

    async def play(stage):
        while await stage.read():
            await asyncio.sleep(0.08)
            stage.write(answer())

    async def story():
        async with FaultServer(play) as server:
            client = client_of(server.port, most_connections=2, deadlines={"connect_s": 0.2})
            ends = await asyncio.gather(*(client.send(asked()) for _ in range(10)), return_exceptions=True)
            failed = [each for each in ends if isinstance(each, UpstreamFailed)]
            assert server.connections == 2
            assert 4 <= len(ends) - len(failed) < 10
            assert {(each.failure, each.sent) for each in failed} == {(Failure.POOL_EXHAUSTED, False)}
            waiting = [asyncio.create_task(client.send(asked())) for _ in range(4)]
            await asyncio.sleep(0.02)
            waiting[3].cancel()
            waiting[0].cancel()  # its connection is lost, its place goes to the one that waits
            ends = await asyncio.gather(*waiting, return_exceptions=True)
            assert [type(each).__name__ for each in ends] == ["CancelledError", "Answer", "Answer", "CancelledError"]
            last = [asyncio.create_task(client.send(asked())) for _ in range(3)]
            await asyncio.sleep(0.02)
            await client.close()
            ends = await asyncio.gather(*last, return_exceptions=True)
            assert all(isinstance(each, UpstreamFailed) for each in ends)

    run(story, loop)


def test_free_connections_grow_old(monkeypatch):
    """Those that nobody needs are closed."""
    monkeypatch.setattr("roadworthy.gateway.upstream.pool.KEEP_FREE_S", 0.05)

    async def story():
        async with FaultServer(always(answer())) as server:
            client = client_of(server.port)
            await asyncio.gather(*(client.send(asked()) for _ in range(4)))
            assert client.open_connections == 4
            for _ in range(10):
                await client.send(asked())
                await asyncio.sleep(0.02)
            assert client.open_connections == 1
            await asyncio.sleep(0.2)
            assert client.open_connections == 0
            await client.close()

    run(story)


def test_a_cancelled_attempt_is_written_down_and_cuts_its_connection():
    """Nobody else can get the answer that was not waited for."""

    async def story():
        async with FaultServer(once(then="hang"), always(answer())) as server:
            client, attempts = client_of(server.port), []
            task = asyncio.create_task(client.send(asked(), attempts=attempts))
            await asyncio.sleep(0.03)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert [each.outcome for each in attempts] == ["cancelled"]
            assert (await client.send(asked())).body == b'{"a":1}'
            await client.close()

    run(story)


def test_a_long_body_goes_out_whole():
    """Above the size up to which head and body are one piece."""
    body = b'"' + b"x" * 1_000_000 + b'"'

    async def story():
        async with FaultServer(always(answer())) as server:
            client = client_of(server.port)
            assert (await client.send(asked(body))).status == 200
            assert server.requests[0].endswith(body)
            await client.close()

    run(story)


def certificate(folder):
    """A certificate of its own for 127.0.0.1, and its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "upstream")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    plain = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "server.pem").write_bytes(plain + made.public_bytes(pem))
    (folder / "ca.pem").write_bytes(made.public_bytes(pem))


@pytest.mark.parametrize("loop", LOOPS)
def test_an_answer_before_the_end_of_the_question(loop):
    """It counts, but what is left of the question must not become the next one: the connection is not used again."""

    async def hasty(stage):
        await stage.pause()
        stage.write(answer(b"{}", "413 Too Large"))
        await asyncio.sleep(1)

    async def story():
        async with FaultServer(hasty, always(answer())) as server:
            client = client_of(server.port)
            found = await client.send(asked(b" " * 20_000_000))
            assert found.status == 413
            assert (await client.send(asked())).status == 200
            assert server.connections == 2
            await client.close()

    run(story, loop)


@pytest.mark.parametrize("loop", LOOPS)
def test_tls(loop, tmp_path):
    """A certificate that is trusted passes, an unknown one fails as TLS, and so does a server that speaks none."""
    certificate(tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tmp_path / "server.pem")

    async def story():
        async with FaultServer(always(answer()), tls=context) as server:
            url = f"https://127.0.0.1:{server.port}"
            client = client_of(server.port, url=url, ca=tmp_path / "ca.pem")
            for _ in range(2):
                assert (await client.send(asked())).body == b'{"a":1}'
            assert server.connections == 1
            await client.close()
            await fails_as_tls(client_of(server.port, url=url))

        async def speaks_plainly(stage):
            stage.write(b"HTTP/1.1 400 Bad\r\n\r\n")
            await stage.hang()

        async with FaultServer(speaks_plainly) as server:
            await fails_as_tls(client_of(server.port, url=f"https://127.0.0.1:{server.port}"))

    async def fails_as_tls(client):
        before = open_files()
        with pytest.raises(UpstreamFailed) as caught:
            await client.send(asked())
        assert (caught.value.failure, caught.value.sent) == (Failure.TLS, False)
        await client.close()
        assert await files_close(before)

    run(story, loop)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://a", ("a", 80, False, b"a", b"")),
        ("https://a", ("a", 443, True, b"a", b"")),
        ("https://A.example:8443/base/", ("a.example", 8443, True, b"A.example:8443", b"/base")),
        ("http://[::1]:9/x", ("::1", 9, False, b"[::1]:9", b"/x")),
    ],
)
def test_addresses(url, expected):
    """Host, port, TLS, Host header and base path."""
    found = parse_address(url)
    assert (found.host, found.port, found.tls, found.host_header, found.base) == expected


@pytest.mark.parametrize(
    "url", ["ftp://a", "http://", "http://a:99999", "http://a:x", "http://a?b", "http://a#b", "http://u@a", "http://ä"]
)
def test_what_is_no_address(url):
    """RW-114."""
    with pytest.raises(ParameterError):
        parse_address(url)


def test_headers_that_cannot_be_added(tmp_path):
    """Two lines, a name of the hop, a name that is none, and a file that is not there."""
    (tmp_path / "two").write_text("a\nb\n")
    (tmp_path / "one").write_text("a")
    for name, path in (("x", "two"), ("host", "one"), ("te", "one"), ("a b", "one"), ("é", "one")):
        with pytest.raises(ParameterError):
            client_of(1, headers={name: tmp_path / path})
    with pytest.raises(MissingFile):
        client_of(1, headers={"x": tmp_path / "none"})


def test_certificates_that_cannot_be_read(tmp_path):
    """A file that is not there, and one without certificates."""
    (tmp_path / "empty").write_text("nothing")
    for name in ("none", "empty"):
        with pytest.raises(MissingFile):
            client_of(1, url="https://127.0.0.1:1", ca=tmp_path / name)
