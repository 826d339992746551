"""A real identity provider in front of the whole gateway: people, workloads, rotation, an outage, and forged tokens."""

import base64
import hmac
import json
import shutil
import urllib.request

import published_leaves
import pytest
from ai_system import AiSystem
from gateway_process import Gateway, request
from joserfc import jws
from joserfc.jwk import RSAKey
from oidc_provider import OidcProvider

pytestmark = pytest.mark.slow

ASKED = {"model": "assistant", "messages": [{"role": "user", "content": "hello"}]}
MISS_PAUSE_S = 10.0
"""For so long the gateway does not look for unknown keys again."""


@pytest.fixture(scope="module")
def provider():
    """The provider."""
    with OidcProvider() as found:
        yield found


@pytest.fixture(scope="module")
def system():
    """What is behind the gateway."""
    with AiSystem() as found:
        yield found


def declare(folder, system, provider, **more):
    """A gateway that takes tokens of the provider and no API keys."""
    found = Gateway(folder, system.url)
    oidc = {"issuer": provider.issuer, "audience": "gateway", "leeway_s": 0, "revoked": "revoked.yaml", **more}
    found.config["identity"] = {"oidc": oidc}
    use_case = found.config["use_cases"]["search"]
    use_case["routes"] = [{"protocol": "openai", "models": ["assistant"]}]
    use_case["upstreams"] = {"main": {"url": system.url}}
    (folder / "revoked.yaml").write_text("revoked: 1\n")
    found.write()
    return found


@pytest.fixture(scope="module")
def gateway(provider, system, tmp_path_factory):
    """The gateway."""
    with declare(tmp_path_factory.mktemp("oidc"), system, provider) as found:
        found.wait_for(lambda: ask(found, provider.workload_token()) == 200)
        yield found


@pytest.fixture(autouse=True)
def _keys_are_known(gateway, provider):
    """Another test may have rotated the provider's keys, and the gateway looks for new ones once in a while only."""
    gateway.wait_for(lambda: ask(gateway, provider.workload_token()) == 200, MISS_PAUSE_S + 3)


def ask(gateway, token):
    """The status of one question."""
    return said(gateway, token)[0]


def said(gateway, token):
    """Status, body, headers."""
    headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
    return request(gateway.port, "POST", "/v1/chat/completions", ASKED, headers)


def parts(token):
    """Head and claims."""
    return [json.loads(base64.urlsafe_b64decode(part + "==")) for part in token.split(".")[:2]]


def joined(head, claims, signature=b""):
    """A token of any parts."""
    return ".".join(map(encoded, [json.dumps(head).encode(), json.dumps(claims).encode(), signature]))


def encoded(data):
    """base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def public_key(provider):
    """The provider's key as published."""
    with urllib.request.urlopen(f"{provider.issuer}/jwks") as answer:
        return json.loads(answer.read())["keys"][0]


def test_a_person_logs_in_and_asks(gateway, provider) -> None:
    """Authorisation code with PKCE; in the leaf the person stands under a pseudonym, the token under its id."""
    token = provider.log_in("ada")["access_token"]
    status, _, headers = said(gateway, token)
    assert status == 200
    index = int(headers["x-roadworthy-index"])
    leaves = published_leaves.verified(gateway.folder / "ledger", at_least=index + 1)
    leaf = leaves[index]
    assert (leaf.facts["credential"], leaf.facts["cohort"]) == (parts(token)[1]["jti"], "pilot")
    assert "ada" not in leaf.base.actor
    other = said(gateway, provider.log_in("bob")["access_token"])[2]
    leaves = published_leaves.verified(gateway.folder / "ledger", at_least=int(other["x-roadworthy-index"]) + 1)
    assert leaves[int(other["x-roadworthy-index"])].base.actor != leaf.base.actor


def test_a_workload_asks(gateway, provider) -> None:
    """Client credentials, and the same token again from memory."""
    token = provider.workload_token()
    assert [ask(gateway, token) for _ in range(3)] == [200, 200, 200]


def test_an_id_token_is_no_access_token(gateway, provider) -> None:
    """It is real, and meant for somebody else."""
    assert ask(gateway, provider.log_in("ada")["id_token"]) == 401


def test_a_token_for_another_audience(gateway, provider) -> None:
    """Signed by the right provider, for the wrong reader."""
    token = provider.workload_token("urn:other")
    assert parts(token)[1]["aud"] == "elsewhere"
    assert ask(gateway, token) == 401


def test_a_token_ends(gateway, provider) -> None:
    """Also one that was remembered as good."""
    token = provider.workload_token("urn:brief")
    assert ask(gateway, token) == 200
    gateway.wait_for(lambda: ask(gateway, token) == 401, 4)


def forged(provider, how):
    """A token that looks like the provider's."""
    head, claims = parts(provider.workload_token())
    published = public_key(provider)
    own = RSAKey.generate_key(2048)
    if how in {"none", "None", "nOnE"}:
        return joined({**head, "alg": how}, claims)
    if how == "no signature":
        return joined(head, claims)
    if how == "claims changed":
        signature = base64.urlsafe_b64decode(provider.workload_token().split(".")[2] + "==")
        return joined(head, {**claims, "roles": ["admin"]}, signature)
    if how.startswith("HS256"):
        # The public key is known to everybody, so as a secret it must never verify anything.
        pem = RSAKey.import_key(published).as_pem(private=False)
        secret = pem if how.endswith("PEM") else json.dumps(published).encode()
        unsigned = joined({**head, "alg": "HS256"}, claims).rpartition(".")[0]
        return f"{unsigned}.{encoded(hmac.digest(secret, unsigned.encode(), 'sha256'))}"
    more = {
        "unknown kid": {"kid": "somebody-else"},
        "no kid": {"kid": None},
        "foreign key": {},
        "key in the head": {"kid": "mine", "jwk": own.as_dict(private=False)},
        "address in the head": {"kid": "mine", "jku": "http://127.0.0.1:1/jwks"},
        "path as kid": {"kid": "../../etc/passwd"},
    }[how]
    head = {name: value for name, value in {**head, **more}.items() if value is not None}
    registry = jws.JWSRegistry(algorithms=["RS256"], strict_check_header=False)
    return jws.serialize_compact(head, json.dumps(claims), own, registry=registry)


@pytest.mark.parametrize(
    "how",
    [
        "none",
        "None",
        "nOnE",
        "no signature",
        "claims changed",
        "HS256 with the PEM",
        "HS256 with the JWK",
        "unknown kid",
        "no kid",
        "foreign key",
        "key in the head",
        "address in the head",
        "path as kid",
    ],
)
def test_a_forged_token(gateway, system, provider, how) -> None:
    """401 in the same words as for no token at all, and nothing reaches the AI system."""
    before = len(system.asked)
    status, body, headers = said(gateway, forged(provider, how))
    assert (status, headers["www-authenticate"]) == (401, "Bearer")
    del body["error"]["record"]
    plain = said(gateway, "")[1]
    del plain["error"]["record"]
    assert body == plain
    assert len(system.asked) == before


def test_a_revoked_token_and_a_revoked_person(gateway, provider) -> None:
    """Within two seconds of the file's change, also when it was remembered; others go on."""
    token, ada = provider.workload_token(), provider.log_in("ada")["access_token"]
    bob = provider.log_in("bob")["access_token"]
    assert [ask(gateway, each) for each in (token, ada, bob)] == [200, 200, 200]
    revoked = {"revoked": 1, "tokens": [parts(token)[1]["jti"]], "subjects": ["ada"]}
    (gateway.folder / "revoked.yaml").write_text(json.dumps(revoked))
    gateway.wait_for(lambda: [ask(gateway, each) for each in (token, ada)] == [401, 401], 2.5)
    assert ask(gateway, bob) == ask(gateway, provider.workload_token()) == 200
    (gateway.folder / "revoked.yaml").write_text("revoked: 1\n")
    gateway.wait_for(lambda: ask(gateway, ada) == 200, 2.5)


def test_keys_are_rotated(gateway, provider) -> None:
    """A token of a new key makes the gateway look; the old one counts until it is no longer published."""
    old = provider.workload_token()
    provider.tell("rotate")
    new = provider.workload_token()
    assert parts(old)[0]["kid"] != parts(new)[0]["kid"]
    gateway.wait_for(lambda: ask(gateway, new) == 200, MISS_PAUSE_S + 3)
    assert ask(gateway, old) == 200


def test_an_outage_of_the_provider_is_not_ours(gateway, provider) -> None:
    """Keys that were fetched go on; whoever needs a new key waits for the provider's return."""
    token = provider.workload_token()
    assert ask(gateway, token) == 200
    provider.tell("outage")
    assert ask(gateway, provider.workload_token()) == 200
    provider.tell("rotate")
    fresh = provider.workload_token()
    assert ask(gateway, fresh) == 401
    provider.tell("recover")
    gateway.wait_for(lambda: ask(gateway, fresh) == 200, MISS_PAUSE_S + 3)


def test_a_start_during_an_outage_admits_nobody(system, provider, tmp_path) -> None:
    """And everybody once the provider is back, without anybody's help; a key that is withdrawn ends with the next look."""
    provider.tell("outage")
    with declare(tmp_path, system, provider, jwks_refresh_s=1) as gateway:
        token = provider.workload_token()
        assert ask(gateway, token) == 401
        provider.tell("recover")
        gateway.wait_for(lambda: ask(gateway, token) == 200, MISS_PAUSE_S + 3)
        provider.tell("rotate")
        provider.tell("retire")
        gateway.wait_for(lambda: ask(gateway, token) == 401, 5)
        assert ask(gateway, provider.workload_token()) == 200
    shutil.rmtree(tmp_path / "ledger")
