"""The folder of the second demonstration: a policy search behind a gateway. Owns its texts and what arms its fallback.

::

    roadworthy.yaml   prompts.yaml   search.json   answers/tier.yaml   data/questions.csv   data/questions-public.csv
    gateway.yaml   policy.yaml   sources.yaml   evaluation.json

    keys.yaml   employee.json   people-office.json      secrets, made by ``write_keys``

Everything but the secrets follows from the ports: equal ports give equal bytes, and ``examples`` holds them for 8400 to
8403. The search that only knows titles is armed as the fallback by counting how often each search cites the document that
answers a question; the count's digest stands in gateway.yaml.
"""

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from roadworthy.base.canonical import canonical_bytes
from roadworthy.base.digest import digest_bytes
from roadworthy.demo.answers.documents import Document, read_documents, scopes_of
from roadworthy.demo.answers.extractive import Answerer, Mode
from roadworthy.demo.answers.questions import QUESTIONS
from roadworthy.demo.gateway_places import secret_file, short_socket
from roadworthy.gateway.identity.api_keys import new_key
from roadworthy.stats.proportions import wilson

USE_CASE = "policy-search"
EMPLOYEE, PEOPLE_OFFICE = "employee.json", "people-office.json"
_PURPOSE = "work"
# Who asks, by the file of its key: id, role and data scopes.
_CALLERS = {
    EMPLOYEE: ("employee", "employee", ("public", "internal")),
    PEOPLE_OFFICE: ("people-office", "people-office", ("public", "internal", "hr")),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchPorts:
    """Ports of 127.0.0.1: of the gateway for callers and administrators, of the search and of its fallback."""

    listen: int
    admin: int
    texts: int
    titles: int


EXAMPLE_PORTS = SearchPorts(listen=8400, admin=8401, texts=8402, titles=8403)


def policy_search_files(ports: SearchPorts) -> dict[str, str]:
    """Every file that holds no secret, by its path below the folder; the ledger's socket is in its own folder."""
    documents = read_documents()
    texts = Answerer(documents)
    scopes = scopes_of(documents)
    evaluation = canonical_bytes(evaluate(texts, Answerer(documents, Mode.TITLES))).decode() + "\n"
    search = {"release": texts.release, "mode": texts.mode.value, "documents": len(documents)}
    evidence = digest_bytes(evaluation.encode())
    return {
        "roadworthy.yaml": _MANIFEST.format(use_case=USE_CASE, listen=ports.listen, admin=ports.admin),
        "answers/tier.yaml": _ANSWERS,
        "prompts.yaml": _PROMPTS,
        "search.json": json.dumps(search, indent=1) + "\n",
        "data/questions.csv": _questions(documents, None),
        "data/questions-public.csv": _questions(documents, "public"),
        "gateway.yaml": _GATEWAY.format(
            use_case=USE_CASE,
            purpose=_PURPOSE,
            listen=ports.listen,
            admin=ports.admin,
            texts=ports.texts,
            titles=ports.titles,
            evidence=evidence,
        ),
        "policy.yaml": _POLICY.format(use_case=USE_CASE, purpose=_PURPOSE),
        "sources.yaml": _SOURCES + "".join(f"  {name}: {scopes[name]}\n" for name in sorted(scopes)),
        "evaluation.json": evaluation,
    }


def write_policy_search(folder: Path, ports: SearchPorts) -> None:
    """Write the folder, with a place for the ledger's socket that is short enough for one."""
    for name, text in policy_search_files(ports).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    config = folder / "gateway.yaml"
    socket = json.dumps(short_socket(folder / "ledger"))
    text = config.read_text(encoding="utf-8").replace("folder: ledger,", f"folder: ledger, socket: {socket},")
    config.write_text(text, encoding="utf-8")


def write_keys(folder: Path) -> None:
    """Make the keys of both callers: their hashes in keys.yaml, each key in a file of headers for its owner."""
    lines = []
    for name, (key_id, role, scopes) in _CALLERS.items():
        key, line = new_key(key_id, owner=key_id, roles=[role], scopes=scopes, purposes=[_PURPOSE])
        secret_file(folder / name, json.dumps({"authorization": f"Bearer {key}"}))
        lines.append(line)
    secret_file(folder / "keys.yaml", "\n".join(["api_keys: 1", "keys:", *lines, ""]))


def evaluate(texts: Answerer, titles: Answerer) -> dict[str, object]:
    """How often each search cites the document that answers the question, with a 95 % interval."""
    found: dict[str, object] = {}
    for name, answerer in (("texts", texts), ("titles", titles)):
        cited = sum(
            wanted in [source.id for source in answerer.answer(question).citations] for question, wanted in QUESTIONS
        )
        share = wilson(cited, len(QUESTIONS))
        interval = [round(share.lower, 4), round(share.upper, 4)]
        found[name] = {"cited": cited, "of": len(QUESTIONS), "share": round(share.estimate, 4), "interval_95": interval}
    return {"measure": "the document that answers the question is cited", "data": "data/questions.csv", "found": found}


def _questions(documents: Sequence[Document], scope: str | None) -> str:
    scopes = scopes_of(documents)
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(("id", "question", "source", "scope"))
    for number, (question, source) in enumerate(QUESTIONS):
        if scope in (None, scopes[source]):
            writer.writerow((f"q-{number:02d}", question, source, scopes[source]))
    return stream.getvalue()


_MANIFEST = """\
# A search over the company's policies: answers are sentences of the handbook, each with its source.
roadworthy: 1

use_case:
  id: {use_case}
  title: Answers questions about the company's policies, with sources
  intended_use: Staff and passengers ask about policies; who needs certainty reads the source that is named.
  decision: none by itself; people act on the policy that is cited
  owners: {{business: people-office, system: platform-team, data: handbook-editors}}
  tier: answers/tier.yaml

packs: [enterprise@2, hardening@2]

release:
  model: search.json       # the search by the digest of its documents and of every number that shapes an answer
  prompt: prompts.yaml     # a prompt set: its texts, models and parameters count, not its layout
  index: sources.yaml

data:
  pilot: {{path: data/questions-public.csv, key: id, cohort: scope}}
  production: {{path: data/questions.csv, key: id, cohort: scope}}

gateway:
  config: gateway.yaml
  url: http://127.0.0.1:{listen}
  admin_url: http://127.0.0.1:{admin}

fallback:
  - alternate: a search of titles only
  - refuse: ask the people office
"""

_PROMPTS = """\
roadworthyPrompts: 1
prompts:
  - name: ask
    model: policy-search
    variables: [question]
    parameters: {temperature: 0}
    text: "{{question}}"
"""

_GATEWAY = """\
# The gateway before a policy search, with a second, weaker search behind it.
gateway: 1
listen: 127.0.0.1:{listen}
admin: 127.0.0.1:{admin}
drain_s: 5
ledger: {{folder: ledger, origin: example.org/{use_case}}}
identity: {{keys: keys.yaml}}
policy: policy.yaml
use_cases:
  {use_case}:
    tier: R2
    title: Answers questions about the company's policies, with sources
    purposes: [{purpose}]
    keep_payloads: true        # sealed, and erasable one by one; proofs hold without them
    routes:
      - {{protocol: openai, models: [{use_case}]}}
    upstreams:
      texts:
        url: http://127.0.0.1:{texts}
        release_from: /release
        deadlines: {{connect_s: 1, first_byte_s: 5, idle_s: 5, total_s: 20}}
      titles: {{url: "http://127.0.0.1:{titles}"}}
    retries: {{most: 1, idempotent: true}}     # it only reads: asking twice does no harm
    citations: {{ids_at: /citations/*/id, scopes: sources.yaml}}
    fallback:
      - alternate: titles
        evidence: {evidence}   # of evaluation.json
        notice: The full search is not available. Only the titles of policies were searched.
      - refuse: The policy search is not available. Please ask the people office.
    limits: {{body_bytes: 65536, in_flight: 64, caller_rps: 20}}
"""

_POLICY = """\
# Two roles. Nothing is allowed that is not granted.
policy: 1
grants:
  - {{roles: [employee], use_cases: [{use_case}], purposes: [{purpose}], data_scopes: [public, internal], cohorts: ["*"]}}
  - {{roles: [people-office], use_cases: [{use_case}], purposes: [{purpose}], data_scopes: [public, internal, hr], cohorts: ["*"]}}
"""

_SOURCES = """\
# The data scope of every document that an answer may cite.
source_scopes: 1
sources:
"""

_ANSWERS = """\
# Facts about the policy search; the tier follows from them: roadworthy tier answers/tier.yaml
Q1: no
Q2: no
Q3: provider                    # it is ours
Q4: no
Q5: no                          # it decides about nobody
Q6: no
Q7: no_exemption
Q8: talks_to_people
Q9: no
Q10: no
Q11: low                        # the policy itself is one click away
Q12: low
Q13: no
Q14: no
Q15: no
Q16: no
Q17: drafts
Q18: no                         # the handbook holds no personal data
Q19: no
Q20: no
Q21: from_5000_users_reversible # passengers ask too
Q22: no
Q23: no
Q24: custom_5
"""
