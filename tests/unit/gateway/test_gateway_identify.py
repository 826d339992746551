"""Where a credential may stand, and that every refusal is the same."""

import asyncio
import hmac
from datetime import UTC, datetime

import gateway_issuer as idp
import pytest

from roadworthy.gateway.config import Identity, Oidc
from roadworthy.gateway.exchange import Reason, Refused
from roadworthy.gateway.identity.api_keys import ApiKeys, new_key
from roadworthy.gateway.identity.identify import WHAT, Identify, identify_of
from roadworthy.gateway.identity.jwks import Jwks
from roadworthy.gateway.identity.tokens import Tokens

NOW = 1_800_000_000.0
END = datetime(2027, 6, 1, tzinfo=UTC)
ISSUER = "https://id.example.org"


async def fetch(url):
    if url.endswith("/openid-configuration"):
        return {"issuer": ISSUER, "jwks_uri": ISSUER + "/keys"}
    return {"keys": [idp.RSA.as_dict(private=False)]}


@pytest.fixture
def keys(tmp_path):
    """The stage with keys and tokens, and the texts of a good, an expired and a disabled key."""
    good, line = new_key("good", expires_at=END)
    expired, expired_line = new_key("expired", expires_at=datetime(2020, 1, 1, tzinfo=UTC))
    disabled, disabled_line = new_key("disabled", expires_at=END)
    disabled_line = disabled_line.replace("}", ', "disabled": true}')
    path = tmp_path / "keys.yaml"
    path.write_text(f"api_keys: 1\nkeys:\n{line}\n{expired_line}\n{disabled_line}\n")
    oidc = Oidc(issuer=ISSUER, audience="gateway")
    jwks = Jwks(oidc, lambda: NOW, fetch)
    stage = Identify(ApiKeys(path, NOW), Tokens(oidc, jwks), jwks=jwks, clock=lambda: NOW)
    return stage, good.encode(), expired.encode(), disabled.encode(), path


def token(**change):
    return idp.sign_token({"iss": ISSUER, "aud": "gateway", "sub": "alice", "exp": NOW + 60} | change)


def ask(stage, *headers):
    return asyncio.run(stage.caller(list(headers)))


def test_a_credential_stands_in_one_of_two_headers(keys):
    """Bearer in any case, or the header of its own; a token and a key alike."""
    stage, good, *_ = keys
    assert ask(stage, (b"host", b"x"), (b"authorization", b"Bearer " + good)).credential == "good"
    assert ask(stage, (b"authorization", b"bEARER   " + good)).credential == "good"
    assert ask(stage, (b"x-api-key", good)).credential == "good"
    assert ask(stage, (b"authorization", b"Bearer " + token())).id.endswith(":alice")


def test_the_same_name_at_a_key_and_at_two_providers_is_three_callers(tmp_path):
    """So waves, limits and kept answers never mix them."""
    key, line = new_key("k", owner="alice", expires_at=END)
    (tmp_path / "keys.yaml").write_text(f"api_keys: 1\nkeys:\n{line}\n")
    stages = []
    for issuer in (ISSUER, ISSUER + "/other"):
        oidc = Oidc(issuer=issuer, audience="gateway")

        async def look(url, issuer=issuer):
            return {"issuer": issuer, "jwks_uri": issuer + "/keys"} if "openid" in url else await fetch(url)

        jwks = Jwks(oidc, lambda: NOW, look)
        stages.append(Identify(ApiKeys(tmp_path / "keys.yaml", NOW), Tokens(oidc, jwks), jwks=jwks, clock=lambda: NOW))
    found = [ask(stages[0], (b"x-api-key", key.encode())).id]
    for stage, issuer in zip(stages, (ISSUER, ISSUER + "/other"), strict=True):
        found += [ask(stage, (b"x-api-key", token(iss=issuer, sub=sub))).id for sub in ("alice", "key:alice")]
    assert found[0] == "key:alice" and len(set(found)) == 5
    assert all(each.startswith("oidc:") for each in found[1:])


def test_every_refusal_is_the_same(keys):
    """Missing, unknown, wrong, expired, disabled, twice, another scheme, bad token: one answer, without the credential."""
    stage, good, expired, disabled, _ = keys
    cases = [
        [],
        [(b"authorization", b"")],
        [(b"authorization", b"Bearer ")],
        [(b"authorization", b"Basic " + good)],
        [(b"authorization", good)],
        [(b"x-api-key", b"rw_nobody_" + b"0" * 64)],
        [(b"x-api-key", good[:-1] + b"!")],
        [(b"x-api-key", expired)],
        [(b"x-api-key", disabled)],
        [(b"x-api-key", good), (b"x-api-key", good)],
        [(b"authorization", b"Bearer " + good), (b"x-api-key", good)],
        [(b"authorization", b""), (b"x-api-key", good)],
        [(b"authorization", b"Bearer " + token(exp=NOW - 100))],
        [(b"authorization", b"Bearer " + token(aud="other"))],
        [(b"authorization", b"Bearer x.y.z")],
    ]
    seen = set()
    for headers in cases:
        with pytest.raises(Refused) as caught:
            ask(stage, *headers)
        refused = caught.value
        seen.add((refused.reason, refused.status, refused.what, str(refused), refused.retry_after_s))
    assert seen == {(Reason.UNAUTHENTICATED, 401, WHAT, WHAT, None)}


def test_every_key_costs_the_same_work(keys, monkeypatch):
    """One digest and one comparison in constant time, whether there is something to compare with or not."""
    stage, good, expired, disabled, _ = keys
    compared = []
    compare = hmac.compare_digest
    monkeypatch.setattr(hmac, "compare_digest", lambda one, other: compared.append(len(one)) or compare(one, other))
    assert ask(stage, (b"x-api-key", good)).credential == "good"
    for key in (expired, disabled, b"rw_nobody_" + b"0" * 64, b"rw_good_x", b"rw_"):
        with pytest.raises(Refused):
            ask(stage, (b"x-api-key", key))
    assert compared == [32] * 6


def test_without_keys_and_provider_nobody_may(keys):
    """The stage then refuses everything."""
    *_, path = keys
    for stage in (Identify(None), identify_of(Identity())):
        with pytest.raises(Refused):
            ask(stage, (b"x-api-key", keys[1]))
        assert stage.faults() == []
        stage.begin()
        asyncio.run(stage.close())
    by_key = identify_of(Identity(keys=path))
    assert ask(by_key, (b"x-api-key", keys[1])).credential == "good"
    with pytest.raises(Refused):
        ask(by_key, (b"authorization", b"Bearer " + token()))
