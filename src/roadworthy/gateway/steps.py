"""Single steps of an exchange. Owns how each is done and what it leaves in the record; their order is the pipeline's.

What a caller claims stands in a leaf only once it is known to be one of ours: a purpose that the use case declares, a
data scope that the policy granted. Anything else is ``undeclared`` there, since a leaf can never be erased.
"""

import asyncio

from roadworthy.domain.exchange import RecordMode, RungKind, Verdict
from roadworthy.gateway.exchange import Answer, Failure, Question, Reason, Refused, UpstreamFailed
from roadworthy.gateway.ledger_client import LedgerRefused
from roadworthy.gateway.records import Exchange, Record, Recorder, attempts_text
from roadworthy.gateway.request_body import Call
from roadworthy.gateway.stages import Ask, Authorise, Ledger, Switches, UseCaseStages
from roadworthy.gateway.sweeper import Sweeper

UNDECLARED = "undeclared"
_TIMEOUTS = frozenset(
    {Failure.CONNECT_TIMEOUT, Failure.FIRST_BYTE_TIMEOUT, Failure.IDLE_TIMEOUT, Failure.TOTAL_TIMEOUT}
)
# In Python 3.11 reading a member of an enumeration is a call; these are read with every exchange.
_INTENT_ONLY, _PRIMARY, _REFUSE = RecordMode.INTENT_ONLY, RungKind.PRIMARY, RungKind.REFUSE
_PRIMARY_NAME = RungKind.PRIMARY.value


class Steps:
    """The steps of one configuration.

    Args:
        authorise: what callers may.
        switches: what is off.
        recorder: builds leaves.
        ledger: makes them durable.
        sweeper: knows the open intents.
    """

    def __init__(
        self, *, authorise: Authorise, switches: Switches, recorder: Recorder, ledger: Ledger, sweeper: Sweeper
    ) -> None:
        self.authorise, self.switches = authorise, switches
        self.recorder, self.ledger, self.sweeper = recorder, ledger, sweeper

    def permit(self, call: Call, exchange: Exchange, use: UseCaseStages, now_s: float) -> None:
        """Steps 4 to 6.

        Raises:
            Refused: switched off (503), not allowed (403), too often (429).
        """
        assert exchange.caller is not None
        self.switches.refuse_if_off(use.id)  # 4
        self.authorised(call, exchange, use)  # 5
        exchange.admission = use.admit.check(exchange.caller, exchange.scope, now_s)  # 6
        exchange.release = use.admit.release

    def authorised(self, call: Call, exchange: Exchange, use: UseCaseStages) -> None:
        """Read purpose and scope from the headers. Without a purpose, the only one that the use case has is meant.

        Raises:
            Refused: not allowed (403).
        """
        assert exchange.caller is not None
        named = claimed = b""
        for name, value in call.headers:
            if name == use.purpose_header:
                named = value
            elif name == use.scope_header:
                claimed = value
        purpose, scope = named.decode("latin-1"), claimed.decode("latin-1")
        if not purpose and len(use.purposes) == 1:
            (purpose,) = use.purposes
        exchange.scope = UNDECLARED if scope else ""
        if purpose not in use.purposes:
            exchange.purpose = UNDECLARED if purpose else ""
            raise Refused(Reason.FORBIDDEN, 403, "Name one of the use case's purposes in the purpose header.")
        exchange.purpose = purpose
        self.authorise.check(exchange.caller, use.id, purpose, scope)
        exchange.scope = scope

    @staticmethod
    def inspected(call: Call, exchange: Exchange, body: bytes, now_s: float) -> Ask:
        """Step 7: who is asked, after the input filter.

        Raises:
            Refused: held back, and nobody reads what is held back (422).
        """
        use = exchange.use
        assert use is not None
        if use.inspect is None or not call.endpoint.inspected:
            return use.answerer.answer
        verdict, rules = use.inspect.check(body, now_s)
        exchange.filter, exchange.rules = verdict.value, ",".join(rules)
        if verdict is not Verdict.QUARANTINE:
            return use.answerer.answer
        if use.human is None:
            raise Refused(Reason.QUARANTINED, 422, "The input breaks the data contract of this use case.")
        return use.human

    async def intend(self, exchange: Exchange, body: bytes) -> None:
        """Step 8.

        Raises:
            LedgerRefused: the intent is not known to be durable.
        """
        sent = self.ledger.put(*self.recorder.intent(exchange, body))
        try:
            exchange.intent = await sent
        except LedgerRefused as refused:
            if refused.reason is not Reason.OVERLOADED:
                # It may be durable without our knowing; only a busy ledger says for sure that it is not.
                self.sweeper.give_back(exchange)
            raise
        self.sweeper.open(exchange)

    @staticmethod
    async def ask(exchange: Exchange, ask: Ask, question: Question, key: bytes) -> Answer:
        """Step 9.

        Raises:
            Refused: nobody answered (502, 504), or the ladder's last rung refused.
        """
        try:
            answer = await ask(question, key)
        except UpstreamFailed as failed:
            exchange.attempts = exchange.attempts or failed.failure.value
            status = 504 if failed.failure in _TIMEOUTS else 502
            raise Refused(Reason.UPSTREAM_FAILED, status, "The AI system did not answer.", retry_after_s=1) from failed
        exchange.rung = _PRIMARY_NAME if answer.rung is _PRIMARY else answer.rung.value
        exchange.review = answer.review
        if answer.attempts:
            exchange.attempts = attempts_text(answer.attempts)
        if answer.rung is _REFUSE:
            what = answer.notice or "No answer can be given at the moment."
            wait = next((value for name, value in answer.headers if name == b"retry-after"), b"1")
            retry_after_s = int(wait) if wait.isdigit() else 1
            raise Refused(Reason.FALLBACK_EXHAUSTED, answer.status, what, retry_after_s=retry_after_s)
        return answer

    @staticmethod
    def cited(exchange: Exchange, use: UseCaseStages, answer: Answer) -> bytes:
        """Step 10: the body without the sources that its reader may not see.

        Raises:
            Refused: nothing is known about its sources.
        """
        if use.cite is None or not answer.body:
            return answer.body
        assert exchange.caller is not None
        admitted = use.admit.data_scopes(exchange.admission)
        body, denied = use.cite.check(exchange.caller, use.id, exchange.purpose, admitted, answer.body)
        if denied:
            found = [exchange.rules] if exchange.rules else []
            exchange.rules = ",".join(found + [f"cited:{source}" for source in denied])
        return body

    async def outcome(
        self, exchange: Exchange, status: int, reason: str, body: bytes, released_bytes: int, *, about: str = ""
    ) -> int:
        """Step 11: write the outcome; its index, or -1 when nothing waits for it.

        Raises:
            LedgerRefused: it is not known to be durable.
            Abandoned: the exchange was closed meanwhile.
        """
        record = self.recorder.outcome(
            exchange, status=status, reason=reason, body=body, released_bytes=released_bytes, about=about
        )
        if exchange.intent < 0:
            return await self.ledger.put(*record)
        self.sweeper.take(exchange)
        if exchange.use is not None and exchange.use.mode is _INTENT_ONLY:
            self._put_unwaited(exchange, record)
            return -1
        try:
            return await self.ledger.put(*record)
        except BaseException:
            self.sweeper.give_back(exchange)
            raise

    def _put_unwaited(self, exchange: Exchange, record: Record) -> None:
        def settled(future: "asyncio.Future[int]") -> None:
            if future.cancelled() or future.exception() is not None:
                self.sweeper.give_back(exchange)

        try:
            self.ledger.put(*record).add_done_callback(settled)
        except LedgerRefused:
            self.sweeper.give_back(exchange)
