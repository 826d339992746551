"""Admission by certificate: whether production traffic may pass now. Owns the state and the caps.

Reading and verifying the files belongs to ``certificate_file``. Algorithm of ``check``:

1. The newest certificate is judged at the given instant: right use case, its tier or a higher one, right release, in force,
   not revoked.
2. While it is good, whoever is inside its caps is served under it, at its rate.
3. Everybody else is served only as a member of a pilot cohort. So a certificate never takes anything from a pilot, and
   without one only the pilot goes on.

Rules kept here:
1. Fails closed: what is missing, damaged, revoked or about something else admits nobody but the pilot.
2. An end is exclusive and final: a certificate that ended on this node does not come back when the clock goes back.
3. A caller is inside the wave or not, always the same for one release: HMAC-SHA-256 with the release's digest as the key
   over the caller's id, modulo 10,000, below the share.
4. Every process has a rate of its own, which is the certificate's divided by the number of processes.
"""

import hmac
from collections import OrderedDict
from typing import NamedTuple

from roadworthy.base.clock import format_instant
from roadworthy.domain.certificate import Certificate
from roadworthy.domain.exchange import Caller
from roadworthy.domain.risk import Tier
from roadworthy.gateway.certificate_file import CertificateFile, Past
from roadworthy.gateway.config import Admission
from roadworthy.gateway.exchange import Reason, Refused
from roadworthy.gateway.rate import TokenBucket, take

PILOT = "pilot"
NONE = "none"
BUCKETS = 10_000
RATE_WINDOW_S = 10.0
WHAT = "The system is not admitted for this caller now."

_MOST_CALLERS = 65_536
_DIGEST_HEAD_BYTES = 8


class _InForce(NamedTuple):
    """A certificate, ready to be asked about."""

    certificate: Certificate
    word: str
    cohorts: frozenset[str]
    scopes: frozenset[str]
    below: int
    rate: TokenBucket | None
    from_s: float
    until_s: float


class Admit:
    """The stage that asks for the certificate of one use case.

    Args:
        use_case_id: whose.
        tier: the use case's; a certificate of a lower one does not count.
        admission: the configuration; None admits everybody, which ``load_config`` allows for low tiers only.
        release: digest of the release that runs; "" until ``learn`` tells.
        workers: processes that share the rate.
        past: certificates that ended before this stage was made.

    Attributes:
        release: digest of the release that runs, as far as it is known.
    """

    def __init__(
        self,
        use_case_id: str,
        tier: Tier,
        admission: Admission | None,
        *,
        release: str = "",
        workers: int = 1,
        past: Past | None = None,
    ) -> None:
        self.release = release
        self._use_case_id, self._tier, self._workers = use_case_id, tier, workers
        self._past = past or Past()
        self._file = None if admission is None else CertificateFile(admission, self._past)
        self._pilots = frozenset() if admission is None else frozenset(admission.pilot_cohorts)
        self._in_force: _InForce | None = None
        self._version = -1
        self._scopes: dict[str, frozenset[str] | None] = {PILOT: None, NONE: None}
        self._waves: OrderedDict[str, bool] = OrderedDict()
        self._state = "not_asked" if self._file else NONE

    def learn(self, release: str) -> None:
        """Take note of the release that runs, as the AI system itself tells it; "" when it cannot be known."""
        if release != self.release:
            self.release = release
            self._waves.clear()

    def check(self, caller: Caller, scope: str, now_s: float) -> str:
        """Admit the caller: ``certificate:<id>``, ``pilot``, or ``none`` where no certificate is asked for.

        Args:
            caller: who asks.
            scope: data scope that the caller names.
            now_s: seconds since 1970.

        Raises:
            Refused: not admitted (403), or the certificate's rate is used up (429).
        """
        if self._file is None:
            return NONE
        # 1
        held = self._judge(self._file, now_s)
        # 2
        if held is not None and self._covers(held, caller, scope):
            if held.rate is not None:
                take(held.rate, now_s)
            return held.word
        # 3
        if caller.cohort in self._pilots:
            return PILOT
        raise Refused(Reason.NOT_ADMITTED, 403, WHAT)

    def data_scopes(self, admission: str) -> frozenset[str] | None:
        """Data scopes to which the certificate limits whoever it admitted; None when nothing limits them.

        Args:
            admission: as ``check`` gave it; one that this stage never gave reaches nothing.
        """
        return self._scopes.get(admission, frozenset())

    def status(self, now_s: float | None = None) -> dict[str, object]:
        """The state in a word with its certificate, for the admin port.

        Args:
            now_s: seconds since 1970 at which to judge; None for how it was judged last.
        """
        if self._file is not None and now_s is not None:
            self._judge(self._file, now_s)
        found = self._in_force.certificate if self._in_force is not None else None
        return {
            "use_case": self._use_case_id,
            "state": self._state,
            "fault": self._file.fault if self._file is not None else "",
            "release": self.release,
            "certificate": found.id if found else "",
            "valid_until": format_instant(found.valid_until) if found else "",
            "valid_until_s": found.valid_until.timestamp() if found else 0.0,
        }

    def _judge(self, file: CertificateFile, now_s: float) -> _InForce | None:
        """The certificate when it is good at ``now_s``; ``_state`` says why it is not."""
        if file.look(now_s) != self._version:
            self._version = file.version
            self._take_over(file.certificate, now_s)
        held = self._in_force
        if held is None:
            self._state = file.state
            return None
        self._state = self._word(held, file, now_s)
        return held if self._state == "valid" else None

    def _word(self, held: _InForce, file: CertificateFile, now_s: float) -> str:
        found = held.certificate
        if file.state != "valid":
            return file.state
        if found.id in self._past.revoked:
            return "revoked"
        if found.use_case_id != self._use_case_id:
            return "other_use_case"
        # R0 is above all others, but it forbids.
        if found.tier is Tier.R0 or not found.tier.at_least(self._tier):
            return "other_tier"
        # Also when no release is known: then nothing shows that it is the one.
        if found.release_digest != self.release:
            return "other_release"
        if found.id in self._past.ended or now_s >= held.until_s:
            self._past.end(found.id)
            return "expired"
        return "not_yet_valid" if now_s < held.from_s else "valid"

    def _take_over(self, found: Certificate | None, now_s: float) -> None:
        before, self._in_force = self._in_force, None
        if found is None:
            return
        caps, rate = found.caps, None
        if before is not None and before.certificate == found:
            rate = before.rate  # a file that was written again is no reason for a full bucket
        elif caps.rate_rps is not None:
            rate_rps = caps.rate_rps / self._workers
            rate = TokenBucket(rate_rps, rate_rps * RATE_WINDOW_S, now_s)
        self._in_force = _InForce(
            certificate=found,
            word=f"certificate:{found.id}",
            cohorts=frozenset(caps.cohorts),
            scopes=frozenset(caps.data_scopes),
            below=round(caps.wave_share * BUCKETS),
            rate=rate,
            from_s=found.valid_from.timestamp(),
            until_s=found.valid_until.timestamp(),
        )
        self._scopes[self._in_force.word] = self._in_force.scopes or None
        self._waves.clear()

    def _covers(self, held: _InForce, caller: Caller, scope: str) -> bool:
        if held.cohorts and caller.cohort not in held.cohorts:
            return False
        if held.scopes and scope not in held.scopes:
            return False
        return held.below >= BUCKETS or self._in_wave(caller.id, held.below)

    def _in_wave(self, caller_id: str, below: int) -> bool:
        inside = self._waves.get(caller_id)
        if inside is None:
            inside = self._waves[caller_id] = wave_bucket(self.release, caller_id) < below
            if len(self._waves) > _MOST_CALLERS:
                self._waves.popitem(last=False)
        return inside


def wave_bucket(release: str, subject_id: str) -> int:
    """The place of a subject in the order in which waves grow: 0 to 9,999, uniform, fixed for a release."""
    digest = hmac.digest(release.encode(), subject_id.encode("utf-8", "surrogatepass"), "sha256")
    return int.from_bytes(digest[:_DIGEST_HEAD_BYTES]) % BUCKETS
