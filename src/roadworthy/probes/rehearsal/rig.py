"""A rehearsal: a copy of the operator's gateway with processes of its own, to be asked, disturbed and looked into.

Owns the copy's life and all that a check may do with it. Leaves alone what differs from the operator's file (``derive``)
and what a right gateway does (the checks).

Rules kept here:
1. The operator's gateway, its ledger, its keys and its callers are never touched.
2. The copy ends with the block, whatever happened in it.
"""

import contextlib
import json
import shutil
import signal
import ssl
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from roadworthy.base.clock import monotonic_s
from roadworthy.base.errors import TargetAnswer, TargetUnreachable
from roadworthy.domain.exchange import LeafKind
from roadworthy.ledger.leaf import Leaf
from roadworthy.probes.rehearsal.declared import Declared, read_declared
from roadworthy.probes.rehearsal.derive import derive
from roadworthy.probes.rehearsal.identities import Identity, admin_identity, drill_identities
from roadworthy.probes.rehearsal.payloads import PayloadReader
from roadworthy.probes.rehearsal.process import LEDGER, GatewayProcess
from roadworthy.probes.rehearsal.published import read_log
from roadworthy.probes.rehearsal.reply import Reply, ask
from roadworthy.probes.rehearsal.requests import Request

PART = "exchange.part"
_ADMIN_S = 10.0
_ASK_S = 30.0
_AGAIN_S = 0.05
_ENDS = frozenset({LeafKind.OUTCOME.value, LeafKind.ABANDONED.value, LeafKind.FEEDBACK.value})


@dataclass(frozen=True, slots=True, kw_only=True)
class Rig:
    """A running rehearsal.

    Attributes:
        declared: the operator's files.
        url: where callers ask; of a bypass, when one was put in front.
        admin_url: where it is administered.
        ledger: folder of its ledger.
        identities: the callers, one for each grant of the policy, then those that the check brought.
        admin: who administers.
        changes: what differs from the operator's file.
        process: its processes.
        socket: of its ledger.
        tls: for https; None when it serves http.
    """

    declared: Declared
    url: str
    admin_url: str
    ledger: Path
    identities: tuple[Identity, ...]
    admin: Identity
    changes: tuple[str, ...]
    process: GatewayProcess
    socket: Path
    tls: ssl.SSLContext | None

    @property
    def caller(self) -> Identity:
        """Whoever the first grant of the policy lets ask."""
        return self.identities[0]

    @property
    def log(self) -> Path:
        """Folder of the published log."""
        return self.ledger / "log"

    def seen_at(self, url: str) -> "Rig":
        """The same rehearsal, asked at another address."""
        return replace(self, url=url)

    def headers(self, identity: Identity) -> dict[str, str]:
        """What a caller sends to be known and to say what it wants."""
        purpose, scope = identity.asks
        found = {"authorization": f"Bearer {identity.key}", "content-type": "application/json"}
        if purpose:
            found[self.declared.purpose_header] = purpose
        if scope:
            found[self.declared.scope_header] = scope
        return found

    def ask(
        self,
        request: Request,
        identity: Identity | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        timeout_s: float = _ASK_S,
    ) -> Reply:
        """Ask once. Whatever comes back, or does not, is the answer.

        Args:
            request: what.
            identity: who; the first caller when not given.
            headers: in place of the identity's.
            timeout_s: of each wait for bytes.
        """
        sent = self.headers(identity or self.caller) if headers is None else headers
        return ask(self.url, request.method, request.path, request.body, sent, timeout_s=timeout_s, tls=self.tls)

    def administer(self, method: str, path: str, members: Mapping[str, Any] | None = None) -> Reply:
        """One request to the admin address, with the admin key."""
        headers = {"authorization": f"Bearer {self.admin.key}", "content-type": "application/json"}
        body = b"" if members is None else json.dumps(members).encode()
        return ask(self.admin_url, method, path, body, headers, timeout_s=_ADMIN_S)

    def metrics(self) -> str:
        """Its figures, as Prometheus reads them."""
        return self.administer("GET", "/metrics").body.decode("utf-8", "replace")

    def switch(self, *, on: bool, reason: str = "rehearsal") -> dict[str, Any]:
        """Throw the kill switch of the use case; what the admin address says to it.

        Raises:
            TargetAnswer: it does not take it (RW-402).
        """
        members = {"use_case": self.declared.name, "on": on, "reason": reason}
        reply = self.administer("POST", "/switch", members)
        if not reply.answered:
            what = f"The switch was not taken: {reply.status} {reply.body[:200]!r} {reply.fault}"
            raise TargetAnswer(what, remedy="Look at the gateway's log.", where="/switch")
        answer: dict[str, Any] = json.loads(reply.body)
        return answer

    def stop_ledger(self) -> None:
        """Freeze the ledger's process."""
        self.process.tell(LEDGER, signal.SIGSTOP)

    def resume_ledger(self) -> None:
        """Let it go on."""
        self.process.tell(LEDGER, signal.SIGCONT)

    def kill_ledger(self) -> None:
        """End the ledger's process without a word; the supervisor starts another one."""
        self.process.tell(LEDGER, signal.SIGKILL)

    def wait_ready(self, within_s: float = 20.0) -> float:
        """Wait until it serves again; after how many seconds it did.

        Raises:
            TargetUnreachable: it does not within that time (RW-401).
        """
        began_s = monotonic_s()
        while self.administer("GET", "/health/ready").status != 200:
            if monotonic_s() - began_s > within_s:
                what = f"The rehearsal was not ready again within {within_s:g} s."
                raise TargetUnreachable(what, remedy="Look at the gateway's log.", where=self.admin_url)
            time.sleep(_AGAIN_S)
        return monotonic_s() - began_s

    def leaves(self, records: Sequence[str] = (), *, within_s: float = 4.0) -> list[Leaf]:
        """Every published entry, by index, once the log was found sound.

        Args:
            records: exchanges whose end is waited for.
            within_s: how long at most; then the entries come as they are.

        Raises:
            LedgerBroken: the log does not verify (RW-503).
        """
        until_s, wanted = monotonic_s() + within_s, {record for record in records if record}
        while True:
            found = read_log(self.log)
            if wanted <= {leaf.facts.get("id") for leaf in found if leaf.base.kind in _ENDS} or monotonic_s() > until_s:
                return found
            time.sleep(_AGAIN_S)

    def notes(self) -> tuple[str, ...]:
        """What the node wrote about itself, by index: that it began, was switched, and so on.

        Raises:
            LedgerBroken: the log does not verify (RW-503).
        """
        return tuple(leaf.base.subject for leaf in read_log(self.log) if leaf.base.kind == LeafKind.NODE.value)

    def wait_for(self, holds: Callable[[], bool], within_s: float) -> bool:
        """Whether something holds within a time."""
        until_s = monotonic_s() + within_s
        while not holds():
            if monotonic_s() > until_s:
                return False
            time.sleep(_AGAIN_S)
        return True

    def payloads(self) -> PayloadReader:
        """A reader of what was kept; a context manager."""
        return PayloadReader(self.socket, self.ledger / "keys" / "payload.key")


@contextmanager
def rehearse(
    config: Path,
    *,
    use_case: str,
    workdir: Path,
    upstreams: Mapping[str, str] | None = None,
    extra: Sequence[Identity] = (),
) -> Iterator[Rig]:
    """Run a copy of the gateway until the block ends.

    Args:
        config: the operator's gateway.yaml.
        use_case: that is rehearsed.
        workdir: a folder for the copy's files; made when it is not there.
        upstreams: addresses in place of the declared ones, by name; ``primary`` is the first of them.
        extra: further callers, whom no grant of the policy names.

    Raises:
        MissingFile: a file is not there (RW-102).
        ManifestError: a file is not what it should be (RW-101).
        ParameterError: an upstream is replaced that is not declared (RW-114).
        TargetUnreachable: the copy does not start (RW-401).
    """
    declared = read_declared(config, use_case)
    identities, admin = (*drill_identities(declared), *extra), admin_identity()
    with contextlib.ExitStack() as held:
        # A socket's path is short by law of the system, and working folders are not.
        folder = Path(tempfile.mkdtemp(prefix="rw-"))
        held.callback(shutil.rmtree, folder, ignore_errors=True)
        workdir.mkdir(parents=True, exist_ok=True)
        socket = folder / "l.sock"
        derived = derive(
            declared, workdir=workdir, socket=socket, upstreams=upstreams or {}, identities=identities, admin=admin
        )
        process = held.enter_context(GatewayProcess(derived.path, workdir / "gateway.log"))
        url, admin_url = _addresses(process.ready_line)
        yield Rig(
            declared=declared,
            url=url,
            admin_url=admin_url,
            ledger=derived.ledger,
            identities=identities,
            admin=admin,
            changes=derived.changes,
            process=process,
            socket=socket,
            tls=_trusting(declared) if url.startswith("https") else None,
        )


def _addresses(line: str) -> tuple[str, str]:
    """The two addresses in the line by which the gateway says that it is ready."""
    found = [word.strip(",") for word in line.split() if word.startswith(("http://", "https://"))]
    if len(found) != 2:
        raise TargetUnreachable("The gateway names no addresses.", remedy="Look at its log.", where=line[:200])
    return found[0], found[1]


def _trusting(declared: Declared) -> ssl.SSLContext:
    """Trusts the operator's own certificate and nothing else; its names are those of the real address."""
    certificate = declared.path.parent / str(declared.config["tls"]["certificate"])
    context = ssl.create_default_context(cafile=str(certificate))
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context
