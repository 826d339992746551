"""An application of the gateway in which everything is allowed, for benches of its own code. No network."""

from roadworthy.domain.exchange import Caller, RecordMode
from roadworthy.domain.risk import Tier
from roadworthy.gateway.app import Application, GatewayStages
from roadworthy.gateway.records import Recorder
from roadworthy.gateway.sealing import Sealer
from roadworthy.gateway.stages import UseCaseStages

CALLER = Caller(
    id="alice",
    credential="key-1",
    roles=frozenset({"clinician"}),
    cohort="north",
    scopes=frozenset({"own"}),
    purposes=frozenset({"care"}),
    expires_at_s=4e9,
)


class Allowing:
    """Every stage but the one that answers, saying yes."""

    version = release = "sha256:" + "0" * 64
    header, state, trace_id = b"00-" + b"a" * 32 + b"-" + b"b" * 16 + b"-01", b"", "a" * 32

    async def caller(self, headers):
        return CALLER

    def check(self, *arguments):
        return "certificate:c-1"

    def begin(self, headers):
        return self

    def end(self, status, attributes):
        pass

    def exchange(self, *arguments):
        pass

    def gauge_in_flight(self, use_case, delta):
        pass

    def refuse_if_off(self, use_case):
        pass


def build(yes, ledger, routes, *, tier=Tier.R3, mode=RecordMode.STRICT, keep_payloads=True, in_flight=1_000):
    """The application, its recorder and its use case; ``yes`` is every stage, the answerer too."""
    use = UseCaseStages(
        id="triage",
        tier=tier,
        mode=mode,
        keep_payloads=keep_payloads,
        purposes=frozenset({"care"}),
        purpose_header=b"x-purpose",
        scope_header=b"x-data-scope",
        body_bytes=1_000_000,
        in_flight=in_flight,
        deadline_s=60.0,
        admit=yes,
        inspect=None,
        cite=None,
        answerer=yes,
    )
    stages = GatewayStages(identify=yes, authorise=yes, switches=yes, meter=yes, trace=yes, served=[(use, routes)])
    recorder = Recorder(node="node-1", epoch=1, sealer=Sealer(bytes(32)), pseudonym_key=bytes(32))
    return Application(stages, recorder=recorder, ledger=ledger, node="node-1"), recorder, use
