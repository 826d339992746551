"""The first journey, told as a transcript.

Owns the order of the telling; every line of output comes from the commands themselves, which a reader can type again in
the demo's folder.
"""

from pathlib import Path

from rich.padding import Padding

from roadworthy.base.clock import monotonic_s, now
from roadworthy.base.ids import salt_bytes
from roadworthy.cli.demo_outage import prove_outage, tell_outage
from roadworthy.cli.output import console, opened
from roadworthy.cli.transcript import RunCommand, Transcript, clear_folder, command
from roadworthy.demo.documents import MODEL, GatewayPorts
from roadworthy.demo.figures import Answer, five_answers
from roadworthy.demo.gateway import GatewayPaths, write_gateway
from roadworthy.demo.materials import DemoPaths, ServerProcess, free_port, repair_feed, write_demo
from roadworthy.demo.process import GatewayProcess
from roadworthy.demo.story import planted_versus_found
from roadworthy.domain.criterion import Verdict
from roadworthy.domain.evidence import Evidence, RunOutcome
from roadworthy.wiring.view import envelopes

_SEED = 20_261_121
_LOAD = "load.peak"
_PEOPLE = (
    ("ada", "Ada Moreau, head of radiology", ("business_owner",)),
    ("ben", "Ben Okafor, platform", ("system_owner",)),
    ("chi", "Chi Nguyen, biostatistics", ("validator", "quality")),
)

# Criterion, who signs it, and why; only after a check has met it.
_SEEN = (
    ("G3", "ben", "I have seen that no answer leaves without its record."),
    ("D5", "ben", "I have seen the fallback answer while the model was dead, and the model come back."),
    ("D5", "ada", "My doctors are told when the model did not answer, and know what the order means then."),
)


def tell(run: RunCommand, folder: Path) -> None:
    """Tell the whole journey in a folder of its own.

    Args:
        run: executes one command line of ours and returns its exit code.
        folder: everything is made under it; an earlier demo there is replaced, anything else is left alone.

    Raises:
        InputError: the folder holds something that is not a demo (RW-100).
    """
    from_s = monotonic_s()
    transcript = Transcript(console(), run)
    clear_folder(folder)
    port, gate = free_port(), GatewayPorts(listen=free_port(), admin=free_port())
    paths = write_demo(folder, at=now(), seed=_SEED, port=port, gateway=gate)
    gateway = write_gateway(folder, model_port=port, listen=gate.listen, admin=gate.admin)
    transcript.chapter("A pilot that worked")
    transcript.say(_STORY.format(folder=folder))
    teller = _Teller(transcript, paths, folder)
    with ServerProcess(folder, port) as server, GatewayProcess(gateway.config, gate.admin):
        teller.start_gateway(gateway)
        teller.assess()
        teller.decide()
        teller.compare_with_truth()
        url = f"http://127.0.0.1:{gate.listen}/v2/models/{MODEL}"
        answers = tell_outage(transcript, gateway, server=server, url=url, pilot=paths.pilot)
        teller.answer_for_it()
        teller.fix()
        teller.answer()
    prove_outage(transcript, gateway, answers)
    teller.prove()
    transcript.say(f"\nThe whole journey took {monotonic_s() - from_s:.0f} s.")


_STORY = """\
Breast-mass triage: a model trained on a curated pilot set of real patients orders the radiologists' worklist.
The pilot went well. Now three sites are to use it. Their feed is made of the remaining real patients, with
operational damage planted by a seeded program, so the truth is known: {folder}/truth.json.
The pilot was curated as pilots are, by one measurement; whether that does harm is for the inspection to say."""


_GATEWAY = """\
From here on nobody reaches the model but through the gateway, the inspection as little as the radiologists. Every
question is on disk before the model sees it, and every answer before the caller does."""


class _Teller:
    """Types the commands of the journey."""

    def __init__(self, transcript: Transcript, paths: DemoPaths, folder: Path) -> None:
        self._transcript, self._out, self._paths, self._folder = transcript, transcript.out, paths, folder
        self._manifest = ["--manifest", str(paths.manifest)]
        self._passphrase = folder / "passphrase.txt"
        self._delivered: tuple[Evidence, ...] = ()

    def _type(self, *words: str, here: bool = True) -> None:
        self._transcript.type(*words, also=self._manifest if here else ())

    def start_gateway(self, gateway: GatewayPaths) -> None:
        """What stands before the model from here on."""
        self._transcript.chapter("A gateway before the model")
        self._transcript.say(_GATEWAY)
        self._type("gateway", "--config", str(gateway.config), "--check", here=False)
        self._transcript.show(f"roadworthy gateway --config {gateway.config} &")

    def assess(self) -> None:
        """Tier, people, and every check once."""
        self._transcript.chapter("Assess: every criterion is run once")
        self._type("tier", str(self._paths.answers), here=False)
        self._passphrase.write_bytes(salt_bytes(16).hex().encode())
        self._passphrase.chmod(0o600)
        self._type("inspect")

    def decide(self) -> None:
        """Signatures on what no program can know, the gaps, and the gate."""
        self._transcript.chapter("What no program can know is signed")
        secret = ("--passphrase-file", str(self._passphrase))
        for person_id, name, roles in _PEOPLE:
            asked = [word for role in roles for word in ("--role", role)]
            self._type("person", "add", person_id, "--name", name, *asked, *secret)
        reason = "I answer for what this system does to my patients."
        self._type("sign", "G2", "--as", "ada", "--reason", reason, *secret)
        self._transcript.chapter("Gaps, their critical path, and the gate")
        self._type("gaps")
        self._type("gate")

    def compare_with_truth(self) -> None:
        """What was planted against what was found."""
        self._transcript.chapter("What was planted, and what was found")
        self._delivered = self._evidence()
        findings = [finding.what for each in self._delivered for finding in each.findings]
        self._transcript.table(
            ("planted", "where", "rows", "found by the inspection"),
            [
                (row.kind, row.where, str(row.rows), row.found or "NOT FOUND")
                for row in planted_versus_found(self._paths.truth, findings)
            ],
        )

    def answer_for_it(self) -> None:
        """Who answers for log and fallback signs, where a rehearsal with a copy of the gateway has proven them."""
        proven = {ref.id for each in self._delivered for ref in each.criteria if ref.verdict is Verdict.MET}
        if proven.isdisjoint(criterion for criterion, _, _ in _SEEN):
            return
        self._transcript.say(
            "\nThe inspection rehearsed worse with a copy of the gateway. Who answers for it has seen both."
        )
        for criterion, person, reason in _SEEN:
            if criterion in proven:
                secret = ("--passphrase-file", str(self._passphrase))
                self._type("sign", criterion, "--as", person, "--reason", reason, *secret)

    def fix(self) -> None:
        """One fix, and only what it touches runs again."""
        self._transcript.chapter("One fix: the feed is repaired at its source")
        for line in repair_feed(self._folder):
            self._out.print(f"  {line}", markup=False)
        self._transcript.say("Only what depends on the feed is stale now, and runs again.")
        self._type("inspect", *self._measured_before())
        reason = "The worklist is safe to order at this quality; I set the bound before the data were seen."
        self._type("sign", "D2", "--as", "ada", "--reason", reason, "--passphrase-file", str(self._passphrase))
        self._type("gate")

    def _measured_before(self) -> list[str]:
        """What to inspect again: everything, unless the load test could not be judged; it takes a minute each time."""
        done = {each.check for each in self._delivered if each.outcome is RunOutcome.COMPLETED and each.control}
        if all(each.check != _LOAD or each.outcome is RunOutcome.COMPLETED for each in self._delivered):
            return []
        self._transcript.say("The load test could not be judged on this machine just now, and is not tried again here.")
        return sorted(done)

    def answer(self) -> None:
        """The same five questions about the feed before and after the fix, each with its figures."""
        self._transcript.chapter("What harms and what only moved: five questions, answered from the evidence")
        for answer in five_answers(self._delivered, self._evidence()):
            self._answer(answer)

    def _answer(self, answer: Answer) -> None:
        self._out.print(f"\n{answer.question}", style="bold", markup=False)
        self._transcript.table(("", "as delivered", "repaired"), answer.rows)
        if answer.remark:
            self._out.print(Padding(answer.remark, (0, 2)), style="dim")

    def _evidence(self) -> tuple[Evidence, ...]:
        """Everything on record, oldest first."""
        with opened(self._paths.manifest) as workspace:
            return tuple(each.evidence for each in envelopes(workspace.case()))

    def prove(self) -> None:
        """Report, bundle, and the proof."""
        self._transcript.chapter("Prove it to somebody else")
        bundle = str(self._folder / "bundle.zip")
        self._type("report", str(self._folder / "report.html"))
        self._type("export", bundle)
        self._type("verify", bundle, here=False)
        self._transcript.say(_NEXT.format(folder=self._folder, manifest=self._paths.manifest, command=command()))


_NEXT = """
Look at    {folder}/report.html
Verify     {command} verify {folder}/bundle.zip
Recompute  {command} gate --bundle {folder}/bundle.zip --json
Go on      {command} evidence show D1 --manifest {manifest}
           {command} gaps --manifest {manifest}
Audit      {command} log verify {folder}/gateway/ledger/log"""
