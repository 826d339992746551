import gzip
import json
import socket
import ssl
import struct
import time
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from raw_http import ask, chat_body, events, read_to_end, request, split, unchunked

from roadworthy.base.digest import digest_bytes
from roadworthy.base.errors import ParameterError
from roadworthy.probes.fault.addresses import refusing_port, silent_port, tls_refusing_port
from roadworthy.probes.fault.faults import Fault, Sizes
from roadworthy.probes.fault.upstream import HEADER, FaultUpstream

CHAT = "/v1/chat/completions"
SIZES = Sizes(slow_s=0.05, stall_s=0.2, retry_after_s=7, head_bytes=100_000, body_bytes=300_000)


@pytest.fixture(scope="module")
def upstream():
    with FaultUpstream(sizes=SIZES) as running:
        yield running


@pytest.fixture(autouse=True)
def _clean(upstream):
    upstream.switch(None)
    upstream.forget()


def meet(upstream, fault, *, stream=False, timeout_s=3.0):
    """What a client of the fault gets: head, body, how it ended, and how long it took."""
    body = chat_body(stream=stream)
    from_s = time.perf_counter()
    answer, ending = ask(upstream.port, request(CHAT, body, **{HEADER: fault.value}), timeout_s)
    return *split(answer), ending, time.perf_counter() - from_s


def sound(upstream, *, stream=False):
    return split(ask(upstream.port, request(CHAT, chat_body(stream=stream)))[0])


def test_a_sound_completion_has_what_a_client_reads(upstream):
    """Message, usage and id."""
    head, body = sound(upstream)
    value = json.loads(body)
    assert head.startswith(b"HTTP/1.1 200 OK")
    assert value["choices"][0]["message"] == {"role": "assistant", "content": "You asked: What is due?"}
    assert value["usage"] == {"prompt_tokens": 3, "completion_tokens": 5, "total_tokens": 8}
    assert value["id"].startswith("chatcmpl-")


def test_a_sound_stream_is_the_same_text_in_pieces(upstream):
    """Joined it is the whole answer; the usage comes last, because it was asked for."""
    body = chat_body(stream=True, stream_options={"include_usage": True})
    parts = events(ask(upstream.port, request(CHAT, body))[0])
    text = "".join(choice["delta"].get("content", "") for part in parts for choice in part["choices"])
    assert text == "You asked: What is due?"
    assert parts[-1]["usage"]["total_tokens"] == 8
    assert parts[-2]["choices"][0]["finish_reason"] == "stop"


def test_open_inference_is_the_mean_of_a_row(upstream):
    """Two rows, two scores; nonsense gets a half."""
    body = json.dumps({"inputs": [{"name": "x", "datatype": "FP64", "shape": [2, 2], "data": [0, 1, 1, 1]}]}).encode()
    answer = json.loads(split(ask(upstream.port, request("/v2/models/m/infer", body))[0])[1])
    assert answer["outputs"][0]["data"] == [0.5, 1.0]
    nonsense = json.loads(split(ask(upstream.port, request("/v2/models/m/infer", b"{"))[0])[1])
    assert nonsense["outputs"][0]["data"] == [0.5]


def test_plain_json_says_what_it_received(upstream):
    """The digest of the body lets a client see that nothing was changed on the way."""
    answer = json.loads(split(ask(upstream.port, request("/score", b"abc"))[0])[1])
    assert answer == {"ok": True, "method": "POST", "path": "/score", "received": digest_bytes(b"abc")}


@pytest.mark.parametrize(("path", "member"), [("/release", "release"), ("/v1/models", "data")])
def test_the_documents_are_there(upstream, path, member):
    """A gateway reads both."""
    assert member in json.loads(split(ask(upstream.port, request(path, method="GET"))[0])[1])


@pytest.mark.parametrize(
    ("fault", "ending", "head_share", "body_share"),
    [
        (Fault.RESET_BEFORE, "reset", 0, 0),
        (Fault.RESET_IN_HEAD, "reset", 0.5, 0),
        (Fault.RESET_IN_BODY, "reset", 1, 0.5),
        (Fault.STALL, "reset", 1, 0.5),
    ],
)
def test_a_reset_comes_where_it_is_declared(upstream, fault, ending, head_share, body_share):
    """Before the head, in it, or in the body; the stalled answer only after its silence."""
    head, body = sound(upstream)
    got_head, got_body, ended, took_s = meet(upstream, fault)
    assert ended == ending
    assert len(got_head) == int((len(head) + 4) * head_share) - (4 if head_share == 1 else 0)
    assert got_body == body[: int(len(body) * body_share)]
    assert (took_s >= SIZES.stall_s) == (fault is Fault.STALL)


@pytest.mark.parametrize("fault", [Fault.TOO_MANY, Fault.ERROR_500, Fault.ERROR_502, Fault.ERROR_503, Fault.ERROR_504])
def test_a_status_is_an_error_of_the_interface(upstream, fault):
    """429 and 503 say how long to wait."""
    head, body, _, _ = meet(upstream, fault)
    status = fault.value.removeprefix("status-")
    assert head.split()[1].decode() == status
    assert json.loads(body)["error"]["code"] == status
    assert (b"Retry-After: 7" in head) == (status in {"429", "503"})


@pytest.mark.parametrize(("fault", "pauses"), [(Fault.SLOW_HEAD, 1), (Fault.SLOW_BODY, 3)])
def test_a_slow_answer_is_sound(upstream, fault, pauses):
    """It only takes its time."""
    head, body, ending, took_s = meet(upstream, fault)
    assert (head, body) == sound(upstream)
    assert ending == "end"
    assert took_s >= pauses * SIZES.slow_s


def test_malformed_json_is_not_json(upstream):
    """The length fits, the content does not; in a stream one event is broken."""
    _, body, ending, _ = meet(upstream, Fault.MALFORMED_JSON)
    assert ending == "end"
    with pytest.raises(ValueError, match="Expecting"):
        json.loads(body)
    parts = unchunked(meet(upstream, Fault.MALFORMED_JSON, stream=True)[1])
    assert parts.count(b'data: {"choices": [\n\n') == 1
    assert parts[-1] == b"data: [DONE]\n\n"


def test_the_wrong_type_is_a_page(upstream):
    """Status 200 all the same."""
    head, body, _, _ = meet(upstream, Fault.WRONG_TYPE)
    assert b"200 OK" in head
    assert b"text/html" in head
    assert body.startswith(b"<html>")


def test_cut_chunks_end_in_order_but_too_early(upstream):
    """The chunk's size promises more than comes."""
    _, body, ending, _ = meet(upstream, Fault.CHUNKS_CUT)
    size, _, rest = body.partition(b"\r\n")
    assert ending == "end"
    assert len(rest) < int(size, 16)


def test_a_bad_chunk_size_is_no_number(upstream):
    """The framing cannot be read."""
    assert meet(upstream, Fault.CHUNK_SIZE_BAD)[1].startswith(b"zz\r\n")


def test_two_framings_stand_in_one_head(upstream):
    """The mark of request smuggling."""
    head, body, _, _ = meet(upstream, Fault.LENGTH_AND_CHUNKED)
    assert b"Content-Length:" in head
    assert b"Transfer-Encoding: chunked" in head
    assert b"".join(unchunked(body)) == sound(upstream)[1]
    assert meet(upstream, Fault.LENGTHS_DIFFER)[0].count(b"Content-Length:") == 2


def test_an_interim_answer_comes_first(upstream):
    """Then the sound one, whole."""
    head, rest, _, _ = meet(upstream, Fault.CONTINUE_FIRST)
    assert head == b"HTTP/1.1 100 Continue"
    assert split(rest) == sound(upstream)


def test_huge_heads_and_bodies_have_their_size(upstream):
    """The body is a JSON string: only its size is wrong."""
    assert len(meet(upstream, Fault.HEAD_HUGE)[0]) >= SIZES.head_bytes
    _, body, ending, _ = meet(upstream, Fault.BODY_HUGE)
    assert (len(body), ending) == (SIZES.body_bytes, "end")
    assert len(json.loads(body)) == SIZES.body_bytes - 2


def test_a_bomb_unpacks_to_its_size(upstream):
    """Small on the wire."""
    head, body, _, _ = meet(upstream, Fault.GZIP_BOMB)
    assert b"Content-Encoding: gzip" in head
    assert len(body) < SIZES.body_bytes / 100
    assert len(gzip.decompress(body)) >= SIZES.body_bytes


def test_bad_utf8_cannot_be_decoded(upstream):
    """Whole and streamed."""
    for stream in (False, True):
        with pytest.raises(UnicodeDecodeError):
            meet(upstream, Fault.BAD_UTF8, stream=stream)[1].decode()


def test_a_stream_without_its_last_event_ends_in_order(upstream):
    """Only [DONE] is missing."""
    _, body, ending, _ = meet(upstream, Fault.DONE_MISSING, stream=True)
    assert ending == "end"
    assert unchunked(body) == unchunked(sound(upstream, stream=True)[1])[:-1]


def test_members_are_missing_or_null(upstream):
    """The rest of the answer is as it was."""
    value = json.loads(sound(upstream)[1])
    assert json.loads(meet(upstream, Fault.USAGE_MISSING)[1]) == {k: v for k, v in value.items() if k != "usage"}
    assert json.loads(meet(upstream, Fault.ID_NULL)[1]) == value | {"id": None}
    parts = unchunked(meet(upstream, Fault.ID_NULL, stream=True)[1])
    assert all(json.loads(part.removeprefix(b"data: "))["id"] is None for part in parts[:-1])


def test_http_10_has_no_length(upstream):
    """The end of the connection ends the body."""
    head, body, ending, _ = meet(upstream, Fault.HTTP_10_CLOSE)
    assert head.startswith(b"HTTP/1.0 200")
    assert b"Content-Length" not in head
    assert (body, ending) == (sound(upstream)[1], "end")


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("fault", list(Fault))
def test_every_fault_differs_from_the_sound_answer(upstream, fault, stream):
    """A fault that changed nothing would let every gateway pass; some touch only one of the two forms."""
    same = {(Fault.DONE_MISSING, False), (Fault.USAGE_MISSING, True)}
    slow = {Fault.SLOW_HEAD, Fault.SLOW_BODY}
    got = meet(upstream, fault, stream=stream)
    differs = got[:2] != sound(upstream, stream=stream) or got[2] != "end"
    assert differs == ((fault, stream) not in same and fault not in slow)


def test_the_request_decides_before_the_path_the_schedule_and_the_switch():
    """Header, path, schedule, switch: the first that says something counts."""
    with FaultUpstream(sizes=SIZES, schedule=lambda number: Fault.ERROR_502 if number == 3 else None) as upstream:
        upstream.switch(Fault.ERROR_503)
        upstream.switch(Fault.ERROR_504, path="/v1/chat")

        def status(path, **headers):
            return int(ask(upstream.port, request(path, chat_body(), **headers))[0].split()[1])

        assert status("/other") == 503
        assert status(CHAT) == 504  # the longest prefix
        assert status(CHAT) == 502  # the third request
        assert status(f"/fault/status-500{CHAT}") == 500
        assert status(f"/fault/status-500{CHAT}", x_fault="status-429") == 429
        assert status(CHAT, x_fault="none") == 200
        assert status(CHAT, x_fault="no-such-fault") == 504
        upstream.switch(None, path="/v1/chat")
        upstream.switch(None)
        assert status(CHAT) == 200
        assert [each.path for each in upstream.seen][3] == CHAT


def test_the_log_holds_every_request(upstream):
    """With its trace, its digest and its fault; what was not sent whole says so."""
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    ask(upstream.port, request(CHAT, chat_body(), traceparent=trace, x_request_id="r1"))
    with socket.create_connection(("127.0.0.1", upstream.port)) as connection:
        connection.sendall(request(CHAT, chat_body("x"), **{HEADER: Fault.STALL.value}))
        assert connection.recv(10)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    first, second = upstream.seen
    assert (first.number, first.method, first.path, first.traceparent) == (1, "POST", CHAT, trace)
    assert (first.request_id, first.body_digest) == ("r1", digest_bytes(chat_body()))
    assert (first.fault, first.whole) == (None, True)
    assert (second.fault, second.whole) == (Fault.STALL, False)
    assert first.at <= second.at


def test_requests_on_one_connection_are_answered_in_order(upstream):
    """Keep-alive and pipelining."""
    one = request("/a", b"1").replace(b"Connection: close\r\n", b"")
    answer, ending = ask(upstream.port, one + request("/b", b"2"))
    assert ending == "end"
    assert [json.loads(part.partition(b"\r\n\r\n")[2])["path"] for part in answer.split(b"HTTP/1.1 200 OK")[1:]] == [
        "/a",
        "/b",
    ]


def test_what_is_not_http_is_hung_up_on(upstream):
    """No answer, no log entry."""
    assert ask(upstream.port, b"\x00\x01 nonsense\r\n\r\n")[0] == b""
    assert upstream.seen == ()


def test_a_process_that_dies_refuses_and_comes_back_on_its_port():
    """Open connections are reset; the port stays."""
    with FaultUpstream(sizes=Sizes(stall_s=30)) as upstream:
        port = upstream.port
        with socket.create_connection(("127.0.0.1", port), timeout=3) as connection:
            connection.sendall(request(CHAT, chat_body(), **{HEADER: Fault.STALL.value}))
            assert connection.recv(10)
            upstream.go_down()
            assert read_to_end(connection)[1] == "reset"
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), timeout=3)
        upstream.come_back()
        assert b"200 OK" in ask(port, request(CHAT, chat_body()))[0]
        assert upstream.url == f"http://127.0.0.1:{port}"


def test_an_upstream_that_does_not_run_says_so():
    """RW-114, instead of hanging."""
    with pytest.raises(ParameterError, match="does not run"):
        FaultUpstream().go_down()


def test_nobody_listens_on_a_refusing_port():
    """Refused at once."""
    with refusing_port() as port, pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=3)


def test_connecting_to_a_silent_port_hangs():
    """The caller's own deadline ends it."""
    with silent_port() as port, pytest.raises(TimeoutError):
        socket.create_connection(("127.0.0.1", port), timeout=0.3)


def test_tls_is_turned_down_with_an_alert():
    """The client sees a failed handshake, not a lost connection."""
    context = ssl.create_default_context()
    with tls_refusing_port() as port:
        for _ in range(2):
            with (
                socket.create_connection(("127.0.0.1", port), timeout=3) as plain,
                pytest.raises(ssl.SSLError, match=r"(?i)handshake.failure"),
            ):
                context.wrap_socket(plain, server_hostname="localhost")


def test_it_speaks_tls_where_it_is_asked_to(tmp_path):
    """A client that does not trust the certificate says so; one that does gets its answer."""
    key, certificate = self_signed(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with FaultUpstream(tls=context) as upstream:
        assert upstream.url == f"https://127.0.0.1:{upstream.port}"
        for trusted, ends in ((None, pytest.raises(ssl.SSLCertVerificationError)), (certificate, nullcontext())):
            client = ssl.create_default_context(cafile=trusted)
            with (
                socket.create_connection(("127.0.0.1", upstream.port), timeout=3) as plain,
                ends,
                client.wrap_socket(plain, server_hostname="localhost") as secure,
            ):
                secure.sendall(request(CHAT, chat_body()))
                assert b"200 OK" in read_to_end(secure)[0]


def self_signed(folder):
    """Paths of a key and of a certificate for localhost."""
    secret = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    at = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(secret.public_key())
        .serial_number(1)
        .not_valid_before(at - timedelta(hours=1))
        .not_valid_after(at + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(secret, hashes.SHA256())
    )
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    (folder / "key.pem").write_bytes(secret.private_bytes(encoding, form, serialization.NoEncryption()))
    (folder / "certificate.pem").write_bytes(made.public_bytes(encoding))
    return str(folder / "key.pem"), str(folder / "certificate.pem")
