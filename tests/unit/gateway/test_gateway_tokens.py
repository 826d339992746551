"""Tokens of an identity provider: what counts, and the attacks on JWT that must not."""

import asyncio
import hashlib
import json
from types import SimpleNamespace

import gateway_issuer as idp
import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc.errors import UnsupportedAlgorithmError
from joserfc.jwk import RSAKey

from roadworthy.gateway.config import Oidc
from roadworthy.gateway.identity.jwks import Jwks
from roadworthy.gateway.identity.tokens import Tokens

NOW = 1_800_000_000.0
ISSUER = "https://id.example.org/realm"
ALL = ["RS256", "PS256", "ES256", "ES384", "EdDSA"]
CLAIMS = {
    "iss": ISSUER,
    "aud": "gateway",
    "sub": "alice",
    "jti": "t-1",
    "iat": NOW - 10,
    "nbf": NOW - 10,
    "exp": NOW + 600,
    "roles": ["clinician", "lead"],
    "cohort": "pilot",
    "data_scopes": "cardiology oncology",
    "purposes": ["triage"],
}
KEYS = [idp.RSA, idp.EC, idp.EC384, idp.ED]


class Clock:
    def __init__(self):
        self.now_s = NOW

    def __call__(self):
        return self.now_s


class Rig:
    """Tokens with a provider in memory, and a clock that a test turns."""

    def __init__(self, *, keys=None, **oidc):
        self.clock = Clock()
        self.keys = [key.as_dict(private=False) for key in keys or KEYS]
        self.down = False
        self.asked = 0
        config = Oidc(issuer=ISSUER, audience="gateway", **({"algorithms": ALL} | oidc))
        self.jwks = Jwks(config, self.clock, self.fetch)
        self.tokens = Tokens(config, self.jwks, most_remembered=3)

    async def fetch(self, url):
        self.asked += 1
        if url.endswith("/openid-configuration"):
            return {"issuer": ISSUER, "jwks_uri": f"{ISSUER}/keys"}
        return {"keys": self.keys}

    def ask(self, token):
        return asyncio.run(self.tokens.caller(token, self.clock.now_s))


def token(key=idp.RSA, algorithm="RS256", header=None, **change):
    claims = {name: value for name, value in (CLAIMS | change).items() if value is not None}
    return idp.sign_token(claims, key, algorithm=algorithm, header=header)


def test_a_good_token_names_its_caller():
    """Roles as a list, scopes as text with spaces, and the end."""
    caller = Rig().ask(token())
    assert caller is not None
    assert (caller.id, caller.credential, caller.cohort, caller.expires_at_s) == (
        "oidc:" + hashlib.sha256(ISSUER.encode()).hexdigest()[:16] + ":alice", "t-1", "pilot", NOW + 600,
    )  # fmt: skip
    assert caller.roles == {"clinician", "lead"}
    assert (caller.scopes, caller.purposes) == ({"cardiology", "oncology"}, {"triage"})


@pytest.mark.parametrize(
    ("key", "algorithm"),
    [(idp.RSA, "RS256"), (idp.RSA, "PS256"), (idp.EC, "ES256"), (idp.EC384, "ES384"), (idp.ED, "EdDSA")],
)
def test_every_allowed_algorithm_works(key, algorithm):
    """And none of them when the configuration allows another one only."""
    assert Rig().ask(token(key, algorithm)) is not None
    other = ["ES256"] if algorithm != "ES256" else ["RS256"]
    assert Rig(algorithms=other).ask(token(key, algorithm)) is None


@pytest.mark.parametrize(
    "change",
    [
        {"iss": "https://id.example.org/other"},
        {"iss": ISSUER + "/"},
        {"iss": None},
        {"aud": "another"},
        {"aud": ["another"]},
        {"aud": None},
        {"aud": {"gateway": 1}},
        {"sub": None},
        {"sub": ""},
        {"sub": 7},
        {"sub": "x" * 257},
        {"exp": None},
        {"exp": "2030"},
        {"exp": True},
        {"exp": NOW - 31},
        {"exp": NOW - 30},
        {"nbf": NOW + 31},
        {"nbf": "soon"},
        {"iat": NOW + 31},
        {"iat": [1]},
        {"jti": 5},
    ],
)
def test_a_wrong_claim_is_no_caller(change):
    """Issuer, audience, subject, instants and id of the token, one at a time; the end is exclusive."""
    assert Rig().ask(token(**change)) is None


@pytest.mark.parametrize(
    "change",
    [
        {"aud": ["x", "gateway"]},
        {"exp": NOW - 29},
        {"nbf": NOW + 30},
        {"iat": NOW + 30},
        {"nbf": None, "iat": None, "jti": None},
    ],
)
def test_what_is_within_the_leeway_counts(change):
    """Two honest clocks may differ by half a minute."""
    assert Rig().ask(token(**change)) is not None


def test_claims_of_another_form_give_no_rights():
    """The caller is known, and may nothing."""
    caller = Rig().ask(token(roles={"admin": 1}, cohort=5, data_scopes=[1], purposes=None))
    assert caller is not None
    assert not (caller.roles or caller.cohort or caller.scopes or caller.purposes)
    assert Rig().ask(token(typ="x", header={"typ": "at+jwt"})) is not None


def test_an_algorithm_that_signs_nothing_is_refused():
    """``none`` in every spelling, with and without a signature."""
    body = idp.b64(json.dumps(CLAIMS).encode())
    rig = Rig()
    for name in ("none", "None", "NONE", "nOnE", ""):
        head = idp.b64(json.dumps({"alg": name, "kid": "rsa-1"}).encode())
        assert rig.ask(head + b"." + body + b".") is None
        assert rig.ask(head + b"." + body + b"." + token().rpartition(b".")[2]) is None


def test_the_library_is_asked_for_allowed_algorithms_only():
    """A second wall behind the look at the head."""
    registry = Rig(algorithms=["ES256"]).tokens._registry
    assert registry.get_alg("ES256").name == "ES256"
    for name in ("none", "RS256", "HS256"):
        with pytest.raises(UnsupportedAlgorithmError):
            registry.get_alg(name)


def test_the_public_key_is_no_shared_secret():
    """HS256 with the public key as the secret, in PEM, DER and as the modulus."""
    rig = Rig()
    for secret in (idp.RSA.as_pem(private=False), idp.RSA.as_der(private=False), idp.RSA.as_dict()["n"].encode()):
        key = SimpleNamespace(kid="rsa-1", get_op_key=lambda _, secret=secret: secret)
        for algorithm in ("HS256", "HS512"):
            assert rig.ask(token(key, algorithm)) is None


def test_a_key_inside_the_token_is_not_looked_at():
    """jwk, jku and x5u name the attacker's key; only the provider's counts."""
    attacker = RSAKey.generate_key(2048, {"kid": "rsa-1"})
    rig = Rig()
    for header in (
        {"jwk": attacker.as_dict(private=False)},
        {"jku": "http://127.0.0.1:1/k"},
        {"x5u": "http://x.example"},
    ):
        assert rig.ask(token(attacker, header=header)) is None
        assert rig.ask(token(header=header)) is not None


@pytest.mark.parametrize(
    "header",
    [
        {"kid": "unknown"},
        {"kid": "../../rsa-1"},
        {"kid": 5},
        {"kid": ["rsa-1"]},
        {"kid": "ec-1"},
        {"crit": ["exp"], "exp": 1},
        {"b64": False},
        {"b64": True, "crit": ["b64"]},
    ],
)
def test_a_head_that_we_do_not_understand_is_refused(header):
    """Unknown key ids, one of another kind, critical extensions."""
    good = token()
    head = {"alg": "RS256", "kid": "rsa-1"} | header
    assert Rig().ask(idp.b64(json.dumps(head).encode()) + b"." + good.split(b".", 1)[1]) is None
    assert Rig().ask(token(header=header)) is None


def test_a_token_without_a_key_id_needs_a_single_key():
    """With two keys of the kind nobody knows which was meant."""
    plain = token(header={"kid": None})
    assert Rig(keys=[idp.RSA, idp.EC]).ask(plain) is not None
    assert Rig(keys=[idp.RSA, idp.OTHER_RSA]).ask(plain) is None


def test_a_key_for_another_algorithm_is_not_used():
    """What the provider says of its key holds."""
    rig = Rig()
    rig.keys[0]["alg"] = "PS256"
    assert rig.ask(token()) is None
    assert rig.ask(token(algorithm="PS256")) is not None


def test_changed_bytes_are_refused():
    """Every part of a token is signed; each is changed in turn, and parts are swapped between two tokens."""
    rig, good, other = Rig(), token(), token(sub="mallory")
    parts = good.split(b".")
    for position in range(3):
        part = bytearray(parts[position])
        part[len(part) // 2] ^= 1
        assert rig.ask(b".".join([*parts[:position], bytes(part), *parts[position + 1 :]])) is None
    assert rig.ask(b".".join([parts[0], other.split(b".")[1], parts[2]])) is None
    assert rig.ask(good) is not None


def test_a_payload_with_a_name_twice_is_refused():
    """Two readers could take two different subjects."""
    body = json.dumps(CLAIMS)[:-1] + ', "sub": "root"}'
    assert Rig().ask(idp.sign_token(body.encode())) is None
    assert Rig().ask(idp.sign_token(b"[1]")) is None
    assert Rig().ask(idp.sign_token(b"{")) is None


@given(st.one_of(st.binary(max_size=200), st.lists(st.binary(max_size=60), min_size=3, max_size=3).map(b".".join)))
def test_no_bytes_break_the_reader(data):
    """Whatever comes, it is refused and nothing else happens."""
    assert RIG.ask(data) is None


@given(
    st.recursive(
        st.none() | st.integers() | st.text(max_size=5), lambda s: st.lists(s) | st.dictionaries(st.text(max_size=5), s)
    )
)
def test_no_head_breaks_the_reader(head):
    """Heads of any JSON before a good body."""
    for value in (head, {"alg": head, "kid": head}, {"alg": "RS256", "kid": "rsa-1", "crit": head, "x": head}):
        assert RIG.ask(idp.b64(json.dumps(value).encode()) + b"." + REST) is None


RIG, REST = Rig(), token().split(b".", 1)[1]


def test_a_token_that_is_too_long_is_not_read():
    """Also one that would be good."""
    assert Rig().ask(token(x="y" * 20_000)) is None


def test_a_known_token_is_not_verified_again():
    """Until it ends; memory is bounded and holds no token."""
    rig = Rig()
    good = token()
    first = rig.ask(good)
    assert rig.ask(good) is first
    assert all(len(name) == 32 for name in rig.tokens._remembered)
    for number in range(4):
        rig.ask(token(jti=str(number)))
    assert len(rig.tokens._remembered) == 3
    rig.clock.now_s = NOW + 629.9
    assert rig.ask(token(jti="3")) is not None
    rig.clock.now_s = NOW + 630
    assert rig.ask(good) is None


def test_a_revoked_token_is_refused_though_it_is_known(tmp_path):
    """By its id and by its subject; from the next look at the file on."""
    path = tmp_path / "revoked.yaml"
    path.write_text("revoked: 1\n")
    rig = Rig(revoked=path)
    good, other = token(), token(sub="bob", jti=None)
    assert rig.ask(good) is not None
    assert rig.ask(other) is not None
    path.write_text("revoked: 1\ntokens: [t-1]\nsubjects: [bob]\n")
    rig.clock.now_s += 1
    assert (rig.ask(good), rig.ask(other)) == (None, None)
    assert rig.ask(token(jti="t-2")) is not None


def test_a_damaged_list_of_revocations_revokes_everything(tmp_path):
    """Missing at the start, or damaged later: nobody is let in on a guess."""
    path = tmp_path / "revoked.yaml"
    rig = Rig(revoked=path)
    assert rig.ask(token()) is None
    path.write_text("revoked: 1\n")
    rig.clock.now_s += 1
    assert rig.ask(token()) is not None
    for damage in ("revoked: 1\ntokens: t-1\n", "revoked: [", ""):
        path.write_text(damage)
        rig.clock.now_s += 1
        assert rig.ask(token()) is None
        assert rig.tokens.fault
