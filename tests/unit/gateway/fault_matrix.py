"""The upstream fault matrix: what an upstream can do wrong within one answer, and what that is called.

The bound on answers is 2,000 bytes where these are played, and the deadlines are those of ``fault_server.patience_for``.
"""

from fault_server import answer, chunk, chunks, once

from roadworthy.gateway.exchange import Failure

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
FOUR = b"content-length: 4\r\n\r\n"


FAULTS = {
    "reset before the head": (once(then="reset"), Failure.RESET_BEFORE_HEAD),
    "closed before the head": (once(), Failure.RESET_BEFORE_HEAD),
    "reset in the head": (once(HEAD, then="reset"), Failure.RESET_IN_HEAD),
    "closed in the head": (once(HEAD), Failure.RESET_IN_HEAD),
    "reset in the body": (once(HEAD + FOUR + b"12", then="reset"), Failure.RESET_IN_BODY),
    "reset in an open-ended body": (once(HEAD + b"\r\n12", then="reset"), Failure.RESET_IN_BODY),
    "truncated": (once(HEAD + FOUR + b"12"), Failure.TRUNCATED),
    "truncated chunks": (once(chunks(b"12", end=b"")), Failure.TRUNCATED),
    "chunk size is no number": (once(chunks(b"12", end=b"zz\r\n12\r\n0\r\n\r\n")), Failure.MALFORMED),
    "chunk longer than its size": (once(chunks(end=b"2\r\n1234\r\n0\r\n\r\n")), Failure.MALFORMED),
    "chunk size overflows": (once(chunks(end=b"f" * 17 + b"\r\n")), Failure.MALFORMED),
    "two lengths": (once(HEAD + b"content-length: 4\r\n" + FOUR + b"1234"), Failure.MALFORMED),
    "two lengths in one": (once(HEAD + b"content-length: 4, 4\r\n\r\n1234"), Failure.MALFORMED),
    "length and chunks": (
        once(HEAD + b"content-length: 4\r\ntransfer-encoding: chunked\r\n\r\n" + chunk(b"12") + b"0\r\n\r\n"),
        Failure.MALFORMED,
    ),
    "chunks and length": (
        once(HEAD + b"transfer-encoding: chunked\r\ncontent-length: 4\r\n\r\n" + chunk(b"12") + b"0\r\n\r\n"),
        Failure.MALFORMED,
    ),
    "a coding that nobody asked for": (once(HEAD + b"transfer-encoding: gzip\r\n\r\n12"), Failure.MALFORMED),
    "almost chunked": (once(HEAD + b"transfer-encoding: xchunked\r\n\r\n0\r\n\r\n"), Failure.MALFORMED),
    "chunked twice": (
        once(HEAD + b"transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"),
        Failure.MALFORMED,
    ),
    "length is negative": (once(HEAD + b"content-length: -4\r\n\r\n1234"), Failure.MALFORMED),
    "folded header": (once(HEAD + b"x: a\r\n b\r\n" + FOUR + b"1234"), Failure.MALFORMED),
    "zero byte in a header": (once(HEAD + b"x: a\0b\r\n" + FOUR + b"1234"), Failure.MALFORMED),
    "bare line feed": (once(HEAD + b"x: a\ny: b\r\n" + FOUR + b"1234"), Failure.MALFORMED),
    "a second answer behind the first": (once(answer() + answer(), then="hang"), Failure.MALFORMED),
    "bytes behind the last answer": (
        once(HEAD + b"connection: close\r\n" + FOUR + b"1234HTTP"),
        Failure.MALFORMED,
    ),
    "another protocol": (once(b"SSH-2.0-OpenSSH_9.2\r\n", then="hang"), Failure.MALFORMED),
    "switches protocols": (
        once(b"HTTP/1.1 101 Switching\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n", then="hang"),
        Failure.MALFORMED,
    ),
    "no head in time": (once(then="hang"), Failure.FIRST_BYTE_TIMEOUT),
    "slow head": (once(HEAD, *[step for _ in range(6) for step in (0.05, b"x: 1\r\n")]), Failure.FIRST_BYTE_TIMEOUT),
    "head without end": (once(HEAD + b"x: " + b"a" * 70_000, then="hang"), Failure.TOO_LARGE),
    "huge head at once": (once(HEAD + b"x: " + b"a" * 70_000 + b"\r\n" + FOUR + b"1234"), Failure.TOO_LARGE),
    "interim answers without end": (
        once(b"HTTP/1.1 103 Early Hints\r\nlink: a\r\n\r\n" * 3_000, then="hang"),
        Failure.TOO_LARGE,
    ),
    "trailers without end": (
        once(chunks(b"1", end=b"0\r\n"), *[b"x: " + b"a" * 30_000 + b"\r\n", 0.01] * 8, then="hang"),
        Failure.TOO_LARGE,
    ),
    "stalls in the body": (once(HEAD + FOUR + b"12", then="hang"), Failure.IDLE_TIMEOUT),
    "slow body": (
        once(HEAD + b"content-length: 40\r\n\r\n", *[step for _ in range(20) for step in (0.05, b" ")]),
        Failure.TOTAL_TIMEOUT,
    ),
    "not JSON": (once(answer(b"{broken")), Failure.MALFORMED),
    "not UTF-8": (once(answer(b'{"a":"\xff"}')), Failure.MALFORMED),
    "login page": (
        once(answer(b"<html>", headers="content-type: text/html; charset=utf-8")),
        Failure.WRONG_CONTENT,
    ),
    "no content type": (once(answer(b"{}", headers="")), Failure.WRONG_CONTENT),
    "redirect": (once(answer(b"{}", "302 Found")), Failure.WRONG_CONTENT),
    "longer than allowed": (once(answer(b'"' + b"a" * 3_000 + b'"')), Failure.TOO_LARGE),
    "chunks longer than allowed": (once(chunks(b"1" * 900, b"1" * 900, b"1" * 900)), Failure.TOO_LARGE),
    "500": (once(answer(b"{}", "500 Internal")), Failure.STATUS_5XX),
    "502": (once(answer(b"{}", "502 Bad")), Failure.STATUS_5XX),
    "503": (once(answer(b"{}", "503 Busy")), Failure.STATUS_5XX),
    "504": (once(answer(b"{}", "504 Late")), Failure.STATUS_5XX),
    "429": (once(answer(b"{}", "429 Slow down")), Failure.STATUS_429),
}
