"""The provider's keys: rotation, outage, and a provider that lies. With a real server on a real socket."""

import asyncio
import json
import socket
import ssl
import time
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address

import gateway_issuer as idp
import pytest
import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from joserfc.jwk import OctKey, RSAKey

from roadworthy.base.errors import InputError, TargetAnswer, TargetUnreachable
from roadworthy.gateway.config import Identity, Oidc
from roadworthy.gateway.exchange import Refused
from roadworthy.gateway.identity.fetch import fetch_json
from roadworthy.gateway.identity.identify import Identify, identify_of
from roadworthy.gateway.identity.jwks import MISS_PAUSE_S, OUTAGE_S, Jwks, KeyRing
from roadworthy.gateway.identity.tokens import Tokens


class Clock:
    def __init__(self):
        self.now_s = 1_800_000_000.0

    def __call__(self):
        return self.now_s


@pytest.fixture
def issuer():
    with idp.running_issuer() as running:
        yield running


def stage(issuer):
    clock = Clock()
    oidc = Oidc(issuer=issuer.url, audience="gateway", algorithms=["RS256", "ES256", "EdDSA"])
    jwks = Jwks(oidc, clock)
    return Identify(None, Tokens(oidc, jwks), jwks=jwks, clock=clock), jwks, clock


def bearer(issuer, key=idp.RSA, sub="alice"):
    claims = {"iss": issuer.url, "aud": "gateway", "sub": sub, "exp": 1_800_200_000}
    return [(b"authorization", b"Bearer " + idp.sign_token(claims, key))]


async def known(identify, headers):
    try:
        return (await identify.caller(headers)).id.rpartition(":")[2]
    except Refused:
        return None


def test_keys_rotate_without_a_restart(issuer):
    """A new key id leads to a new look; the old key counts no more once it is gone, also for a known token."""

    async def story():
        identify, jwks, clock = stage(issuer)
        assert await known(identify, bearer(issuer)) == "alice"
        issuer.keys = [idp.OTHER_RSA]
        assert await known(identify, bearer(issuer, idp.OTHER_RSA)) is None
        clock.now_s += MISS_PAUSE_S
        assert await known(identify, bearer(issuer, idp.OTHER_RSA)) == "alice"
        assert jwks.version == 2
        assert await known(identify, bearer(issuer)) is None

    asyncio.run(story())


def test_unknown_key_ids_do_not_make_us_a_weapon(issuer):
    """A hundred bad tokens at once and one after the other: one look."""

    async def story():
        identify, _, _ = stage(issuer)
        bad = bearer(issuer, RSAKey.generate_key(2048, {"kid": "x"}))
        assert set(await asyncio.gather(*(known(identify, bad) for _ in range(100)))) == {None}
        for _ in range(20):
            await known(identify, bad)
        assert issuer.asked == ["/.well-known/openid-configuration", "/keys"]

    asyncio.run(story())


def test_an_outage_is_survived_for_a_day(issuer):
    """The last good keys count, for known and for new tokens; after 24 hours none does, until the provider is back."""

    async def story():
        identify, jwks, clock = stage(issuer)
        assert await known(identify, bearer(issuer)) == "alice"
        issuer.broken = True
        clock.now_s += OUTAGE_S - 1
        assert await known(identify, bearer(issuer, sub="bob")) == "bob"
        clock.now_s += 1
        assert await known(identify, bearer(issuer, sub="bob")) is None
        assert await known(identify, bearer(issuer)) is None
        assert "503" in jwks.fault
        assert identify.faults() == [jwks.fault]
        issuer.broken = False
        clock.now_s += MISS_PAUSE_S
        assert await known(identify, bearer(issuer)) == "alice"

    asyncio.run(story())


def test_the_background_keeps_the_keys_fresh(issuer):
    """Begun once, again and again after the set time, and ended without a trace."""

    async def story():
        oidc = Oidc(issuer=issuer.url, audience="gateway", jwks_refresh_s=0.02)
        identify = identify_of(Identity(oidc=oidc))
        identify.begin()
        identify.begin()
        await asyncio.to_thread(issuer.third_look.wait, 5)
        await identify.close()
        await identify.close()
        assert issuer.asked.count("/keys") >= 3
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(story())


def test_a_caller_who_gives_up_does_not_end_the_look(issuer):
    """Others wait for the same one."""

    async def story():
        identify, _, _ = stage(issuer)
        first = asyncio.create_task(identify.caller(bearer(issuer)))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        second = asyncio.create_task(identify.caller(bearer(issuer)))
        await asyncio.sleep(0)
        first.cancel()
        identify.begin()  # it waits for the look that is under way
        assert (await second).id.endswith(":alice")
        assert issuer.asked.count("/keys") == 1
        await identify.close()

    asyncio.run(story())


@pytest.mark.parametrize(
    "document",
    [
        {"issuer": "https://id.example.org", "jwks_uri": "{url}/keys"},
        {"jwks_uri": "{url}/keys"},
        {"issuer": "{url}", "jwks_uri": 5},
        {"issuer": "{url}", "jwks_uri": "file:///etc/passwd"},
        {"issuer": "{url}"},
        [],
    ],
)
def test_a_provider_that_is_somebody_else_is_refused(issuer, document):
    """The discovery document must name the issuer itself and an address."""
    body = json.dumps(document).replace("{url}", issuer.url).encode()
    issuer.answers["/.well-known/openid-configuration"] = (200, {}, body)

    async def story():
        identify, jwks, _ = stage(issuer)
        assert await known(identify, bearer(issuer)) is None
        assert jwks.fault

    asyncio.run(story())


def test_https_is_never_left():
    """An issuer with TLS may not lead to keys without it."""

    async def fetch(url):
        return {"issuer": "https://id.example.org", "jwks_uri": "http://id.example.org/keys"}

    async def story():
        jwks = Jwks(Oidc(issuer="https://id.example.org", audience="g"), Clock(), fetch)
        await jwks.refresh()
        assert "safe" in jwks.fault

    asyncio.run(story())


def test_only_public_keys_for_signatures_are_taken():
    """Symmetric, private, short, broken, for encryption, of an unknown kind: all left out."""
    good = [key.as_dict(private=False) for key in (idp.RSA, idp.EC, idp.ED)]
    number = rsa.generate_private_key(65537, 1024).public_key().public_numbers().n
    short = good[0] | {"kid": "short", "n": idp.b64(number.to_bytes(128)).decode()}
    bad = [
        OctKey.generate_key(256, {"kid": "oct"}).as_dict(private=True),
        idp.OTHER_RSA.as_dict(private=True),
        short,
        good[0] | {"kid": "enc", "use": "enc"},
        good[0] | {"kid": "ops", "key_ops": ["encrypt"]},
        good[0] | {"kid": "ops2", "key_ops": "verify"},
        good[1] | {"kid": "point", "x": good[1]["y"]},
        {"kty": "AKP", "kid": "pq"},
        {"kid": "nothing"},
        {"kty": "RSA", "kid": "half", "n": 5},
        "text",
    ]
    ring = KeyRing({"keys": [*bad, *good]})
    assert [each["kid"] for each, _ in ring._keys] == ["rsa-1", "ec-1", "ed-1"]
    assert ring.find("ec-1", "ES384") is None
    assert ring.find(None, "EdDSA") is not None


@pytest.mark.parametrize("document", [None, [], {}, {"keys": {}}, {"keys": [{}] * 101}, {"keys": [{"n": 2**60}]}])
def test_what_is_no_set_of_keys_is_refused(document):
    """Also one of more keys than any provider has."""
    with pytest.raises(TargetAnswer):
        KeyRing(document)


def test_an_empty_set_takes_all_keys_away(issuer):
    """The provider's word counts, also when it says that there is no key."""

    async def story():
        identify, _, clock = stage(issuer)
        assert await known(identify, bearer(issuer)) == "alice"
        issuer.answers["/keys"] = (200, {}, b'{"keys": []}')
        clock.now_s += MISS_PAUSE_S
        await known(identify, bearer(issuer, RSAKey.generate_key(2048, {"kid": "x"})))
        assert await known(identify, bearer(issuer)) is None

    asyncio.run(story())


def test_a_redirect_is_not_followed(issuer):
    """Neither to another host nor to this one."""
    issuer.answers["/moved"] = (302, {"location": f"{issuer.url}/keys"}, b"")
    with pytest.raises(TargetAnswer, match="302"):
        asyncio.run(fetch_json(f"{issuer.url}/moved"))
    assert issuer.asked == ["/moved"]


def test_chunks_are_read_and_queries_sent(issuer):
    """Any way in which HTTP/1.1 frames an answer that says where it ends."""
    chunks = b'5\r\n{"a":\r\n3\r\n 1}\r\n0\r\n\r\n'
    issuer.answers["/chunked?x=1"] = (200, {"transfer-encoding": "chunked"}, chunks)
    assert asyncio.run(fetch_json(f"{issuer.url}/chunked?x=1")) == {"a": 1}


@pytest.mark.parametrize(
    "answer",
    [
        (200, {}, b"x" * 3000),
        (200, {}, b"not json"),
        (200, {"content-length": "900"}, b"{}"),
        (404, {}, b"{}"),
        (200, {"transfer-encoding": "chunked"}, b"zz\r\n"),
    ],
)
def test_an_answer_that_is_none_is_refused(issuer, answer):
    """Too long, not JSON, cut, another status, not HTTP."""
    issuer.answers["/a"] = answer
    with pytest.raises(TargetAnswer):
        asyncio.run(fetch_json(f"{issuer.url}/a", most_bytes=2000))


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """Files of a key and a certificate for 127.0.0.1 that nobody else trusts."""
    folder = tmp_path_factory.mktemp("tls")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    begin = datetime(2020, 1, 1, tzinfo=UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, begin, begin + timedelta(days=36_500))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / "key.pem").write_bytes(private)
    (folder / "cert.pem").write_bytes(made.public_bytes(Encoding.PEM))
    return folder


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_a_certificate_must_be_trusted(certificate, monkeypatch, new_loop):
    """An https address whose certificate nobody vouches for gives no keys; on both event loops."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
    with idp.running_issuer(context) as issuer, asyncio.Runner(loop_factory=new_loop) as runner:
        assert issuer.url.startswith("https:")
        with pytest.raises(TargetUnreachable, match="SSL"):
            runner.run(fetch_json(f"{issuer.url}/keys"))
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate / "cert.pem"))
        assert len(runner.run(fetch_json(f"{issuer.url}/keys"))["keys"]) == 3


def test_one_deadline_covers_all():
    """A provider that takes the connection and says nothing, and a port without one."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        begin = time.monotonic()
        with pytest.raises(TargetUnreachable, match="TimeoutError"):
            asyncio.run(fetch_json(f"http://127.0.0.1:{port}/", deadline_s=0.1))
        assert time.monotonic() - begin < 3
    with pytest.raises(TargetUnreachable):
        asyncio.run(fetch_json(f"http://127.0.0.1:{port}/", deadline_s=1))
    with pytest.raises(TargetUnreachable):
        asyncio.run(fetch_json(f"http://{'a' * 64}.example/", deadline_s=1))


@pytest.mark.parametrize(
    "url",
    [
        "ftp://a/",
        "http:///x",
        "http://u@h/",
        "http://h/a b",
        "http://h/\r\nx: y",
        "http://h:0/",
        "http://h:99999/",
        "é",
        "http://[::1/",
    ],
)
def test_what_is_no_address_is_not_asked(url):
    """Other schemes, no host, a user, white space, impossible ports."""
    with pytest.raises(InputError):
        asyncio.run(fetch_json(url))
