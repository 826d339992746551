"""Personal data in log lines: what is found, what is left alone, and that no text takes long."""

import io
import logging
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadworthy.base.errors import ParameterError
from roadworthy.gateway.national_ids import NATIONAL_IDS
from roadworthy.gateway.redaction import RedactingFilter, Redactor

ALL = Redactor(tuple(NATIONAL_IDS))

# A line, and what stands there afterwards. Numbers are the published examples of their kinds.
PERSONAL = [
    ("mail from ann.lee@example.org today", "mail from [e-mail] today"),
    ("<o'neil+tag@mail.example.co.uk>", "<[e-mail]>"),
    ("user=jörg.müller@bücher.example", "user=[e-mail]"),
    ("a@b.io,c_d%e@f-g.net", "[e-mail],[e-mail]"),
    ("mailto:x@y.museum?subject=1", "mailto:[e-mail]?subject=1"),
    ("to bob@example.com.", "to [e-mail]."),
    ("card 4111 1111 1111 1111 declined", "card [card] declined"),
    ("card=5555555555554444;", "card=[card];"),
    ("amex 3782-822463-10005 ok", "amex [card] ok"),
    ("amex 371449635398431", "amex [card]"),
    ("6011-1111-1111-1117", "[card]"),
    ("row 1234 4111 1111 1111 1111", "row 1234 [card]"),
    ("2223003122003222 mastercard", "[card] mastercard"),
    ("iban DE89 3704 0044 0532 0130 00 paid", "iban [iban] paid"),
    ("GB82WEST12345698765432", "[iban]"),
    ("pay to NL91 ABNA 0417 1643 00 AND go", "pay to [iban] AND go"),
    ("fr1420041010050500013m02606!", "[iban]!"),
    ("NO93 8601 1117 947,", "[iban],"),
    ("CH93-0076-2011-6238-5295-7", "[iban]"),
    ("MT84MALT011000012345MTLCAST001S", "[iban]"),
    ("client 203.0.113.7:5512 connected", "client [ip]:5512 connected"),
    ("from 10.1.2.3, 192.168.0.9", "from [ip], [ip]"),
    ("peer 2001:db8::8a2e:370:7334 up", "peer [ip] up"),
    ("[fe80::1]:443", "[[ip]]:443"),
    ("2001:0db8:85a3:0000:0000:8a2e:0370:7334", "[ip]"),
    ("::ffff:198.51.100.4", "::ffff:[ip]"),
    ("call +49 30 901820 now", "call [phone] now"),
    ("tel:+14155552671", "tel:[phone]"),
    ("+44 (0)20 7946 0958", "[phone]"),
    ("phone (415) 555-2671", "phone [phone]"),
    ("212-555-0143 or 415.555.2671", "[phone] or [phone]"),
    ("06 12 34 56 78", "[phone]"),
    ("fax 020 7946 0958.", "fax [phone]."),
    ("030/90182012", "[phone]"),
    ("ssn 078-05-1120 given", "ssn [us-ssn] given"),
    ("NHS 943 476 5919", "NHS [uk-nhs]"),
    ("bsn=111222333", "bsn=[nl-bsn]"),
    ("pesel 44051401359", "pesel [pl-pesel]"),
    ("dni 12345678Z, nie X1234567L", "dni [es-dni], nie [es-dni]"),
    ("ann@example.org from 203.0.113.9 card 4242424242424242", "[e-mail] from [ip] card [card]"),
]
INNOCENT = [
    "gateway ready on 127.0.0.1:8400, admin 127.0.0.1:8401",
    "listening on [::1]:80 and 0.0.0.0:80",
    "2026-11-21T10:42:00.123456Z served in 1243 us",
    "2026-11-21 10:42:00,123 INFO worker 2 started",
    "01-02-2026 10:30 report",
    "12:34:56:78 elapsed",
    "record 018f3c2a-7b1e-7cc3-9f0a-1b2c3d4e5f60 durable",
    "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "checkpoint size 123456789012 root 44",
    "order 4111111111111112 shipped",
    "t_ns=1764000000123456789",
    "t_us 1764000000123456",
    "p50 3.0 ms p99 5.6 ms at 20268 req/s",
    "HTTP/1.1 200 OK 65535 bytes",
    "retry 3 of 5 after 0.05 s",
    "uvicorn 0.54.0 httptools 0.6.4 python 3.11.7",
    "std::vector<int> at line 120",
    "@decorator used twice @ 5 pm",
    "installed left-pad@1.3.0 and x@2.0",
    "user@localhost is no address of a person",
    "GB82WEST12345698765433 has wrong digits",
    "XX00 1234 5678 9012 is no country",
    "batch 1000-2000-3000 of 9999",
    "key ward-3 expires 2027-01-01",
    "trace 4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    "0x1F 0755 0.25 1e-9 +5 -7",
    "300.1.2.3 is no address, 1.2.3.4.5 neither",
    "share 0.9999 of 4444 4444 4444 4444",
    "ratio 12/34 page 7/8",
    "000-12-3456 and 666-12-3456 and 123-00-4567",
    "9434765918 has a wrong check digit",
    "numbers 111222334 and 44051401358 and 12345678A",
    "cache hit 99.5 % of 1234567 in 10 min",
    "",
]


@pytest.mark.parametrize(("line", "expected"), PERSONAL)
def test_personal_data_is_blotted_out(line, expected):
    """Every find, and nothing around it."""
    assert ALL.redact(line) == expected


@pytest.mark.parametrize("line", INNOCENT)
def test_what_is_not_personal_stays(line):
    """Instants, digests, ids, versions, numbers whose check digits are wrong, the machine's own addresses."""
    assert ALL.redact(line) == line


def test_the_tables_are_large_enough():
    """Recall over the first and precision over both are 1 by the tests above; this is how much that says."""
    assert (len(PERSONAL), len(INNOCENT)) == (40, 34)


def test_national_ids_are_off_until_asked_for():
    """And only those that are known can be."""
    assert Redactor().redact("219-09-9999 12345678Z") == "219-09-9999 12345678Z"
    assert Redactor(["us-ssn"]).redact("219-09-9999 12345678Z") == "[us-ssn] 12345678Z"
    with pytest.raises(ParameterError, match="xx-id"):
        Redactor(["xx-id"])


@given(st.text(max_size=300))
def test_any_text_is_read(text):
    """Whatever is written; twice gives the same."""
    once = ALL.redact(text)
    assert ALL.redact(once) == once


def test_a_long_line_is_cut():
    """Before it is looked at, at a space, so that no half of anything stays."""
    short = Redactor(most_chars=30)
    assert short.redact("x" * 30) == "x" * 30
    assert short.redact("one two three four ann@example.org") == "one two three four[cut]"
    assert short.redact("y" * 31) == "[cut]"


PIECES = (
    "a", "1", "1 ", "4111 ", "4111-1111-", "a@", "a.", "@a.", "a@b.", "@", "0.0.", "1.1.1.", ":", "a:", "1:2:", "::",
    "+1", "+1 ", "(", "0 ", "01 ", "012-", "DE12", "DE12 ", "DE12 3", "1-", "123-45-", "X1234567", "\u00e9", "\n", "-",
)  # fmt: skip


def seconds(text):
    begin = time.process_time()
    Redactor(tuple(NATIONAL_IDS), most_chars=2_000_000).redact(text)
    return time.process_time() - begin


@pytest.mark.alone
def test_no_text_takes_long():
    """Long rows of the worst pieces: what grows with the square of the length would take minutes, so the bound is wide."""
    taken_s = {piece: seconds(piece * (100_000 // len(piece))) for piece in PIECES}
    assert max(taken_s.values()) < 2.0, taken_s


@pytest.mark.alone
@pytest.mark.parametrize("piece", ["4111 ", "DE12 ", "a@a.", "".join(PIECES)])
def test_a_megabyte_is_read_in_seconds(piece):
    """The slowest rows, ten times as long, take ten times as long."""
    assert seconds(piece * (1_000_000 // len(piece))) < 8.0


@pytest.fixture
def lines():
    """A logger with a redacting handler, and what it wrote."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.addFilter(RedactingFilter(Redactor()))
    logger = logging.getLogger("redaction-test")
    logger.propagate = False
    logger.addHandler(handler)
    yield logger, stream, handler
    logger.removeHandler(handler)


def test_the_filter_covers_message_and_values(lines):
    """Also where only both together are personal, and where they do not fit each other."""
    logger, stream, _ = lines
    logger.warning("from %s to %s", "ann@example.org", 5)
    logger.warning("%s@%s", "ann", "example.org")
    logger.warning("plain %d", 7)
    logger.warning("mail %(who)s", {"who": "ann@example.org"})
    logger.warning("bad ann@example.org %d", "x")
    logger.warning("nothing")
    assert stream.getvalue().splitlines() == [
        "from [e-mail] to 5", "[e-mail]", "plain 7", "mail [e-mail]", "bad [e-mail] %d", "nothing",
    ]  # fmt: skip


def test_the_filter_covers_tracebacks(lines):
    """The text of an exception and of a stack."""
    logger, stream, _ = lines
    try:
        raise ValueError("ann@example.org")
    except ValueError:
        logger.exception("failed")
    logger.warning("here", stack_info=True)
    written = stream.getvalue()
    assert "ann@example.org" not in written.split("Stack")[0]
    assert "ValueError: [e-mail]" in written
    assert "Stack" in written


def test_values_stay_apart_for_who_wants_them(lines):
    """The formatter of an access log reads five values, each cleaned."""
    logger, _, handler = lines
    seen = []
    handler.emit = lambda record: seen.append(record.args)
    logger.warning('%s - "%s %s HTTP/%s" %d', "203.0.113.7:9", "GET", "/", "1.1", 200)
    assert seen == [("[ip]:9", "GET", "/", "1.1", 200)]
