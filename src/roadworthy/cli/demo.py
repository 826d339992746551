"""The first journey, told as a transcript.

Owns the order of the telling; every line of output comes from the commands themselves, which a reader can type again in
the demo's folder.
"""

import shlex
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table

from roadworthy.base.clock import monotonic_s, now
from roadworthy.base.errors import InputError
from roadworthy.base.ids import salt_bytes
from roadworthy.cli.output import console, opened
from roadworthy.demo.figures import Answer, five_answers
from roadworthy.demo.materials import DemoPaths, ServerProcess, free_port, repair_feed, write_demo
from roadworthy.demo.story import planted_versus_found
from roadworthy.domain.evidence import Evidence
from roadworthy.wiring.view import envelopes

RunCommand = Callable[[Sequence[str]], int]
_MARK = ".roadworthy-demo"
_SEED = 20_261_121
_PEOPLE = (
    ("ada", "Ada Moreau, head of radiology", ("business_owner",)),
    ("ben", "Ben Okafor, platform", ("system_owner",)),
    ("chi", "Chi Nguyen, biostatistics", ("validator", "quality")),
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
    out = console()
    _clear(folder)
    port = free_port()
    paths = write_demo(folder, at=now(), seed=_SEED, port=port)
    _chapter(out, "A pilot that worked")
    out.print(_STORY.format(folder=folder), markup=False)
    with ServerProcess(folder, port):
        teller = _Teller(out, run, paths, folder)
        teller.assess()
        teller.decide()
        teller.compare_with_truth()
        teller.fix()
        teller.answer()
    teller.prove()
    out.print(f"\nThe whole journey took {monotonic_s() - from_s:.0f} s.")


_STORY = """\
Breast-mass triage: a model trained on a curated pilot set of real patients orders the radiologists' worklist.
The pilot went well. Now three sites are to use it. Their feed is made of the remaining real patients, with
operational damage planted by a seeded program, so the truth is known: {folder}/truth.json.
The pilot was curated as pilots are, by one measurement; whether that does harm is for the inspection to say."""


class _Teller:
    """Types the commands of the journey."""

    def __init__(self, out: Console, run: RunCommand, paths: DemoPaths, folder: Path) -> None:
        self._out, self._run, self._paths, self._folder = out, run, paths, folder
        self._manifest = ["--manifest", str(paths.manifest)]
        self._passphrase = folder / "passphrase.txt"
        self._delivered: tuple[Evidence, ...] = ()

    def _type(self, *words: str, here: bool = True) -> None:
        arguments = [*words, *(self._manifest if here else [])]
        self._out.print(f"\n$ roadworthy {shlex.join(words)}", style="bold", markup=False, soft_wrap=True)
        code = self._run(arguments)
        if code:
            self._out.print(f"(exit code {code})", style="dim", markup=False)

    def assess(self) -> None:
        """Tier, people, and every check once."""
        _chapter(self._out, "Assess: every criterion is run once")
        self._type("tier", str(self._paths.answers), here=False)
        self._passphrase.write_bytes(salt_bytes(16).hex().encode())
        self._passphrase.chmod(0o600)
        self._type("inspect")

    def decide(self) -> None:
        """Signatures on what no program can know, the gaps, and the gate."""
        _chapter(self._out, "What no program can know is signed")
        secret = ("--passphrase-file", str(self._passphrase))
        for person_id, name, roles in _PEOPLE:
            asked = [word for role in roles for word in ("--role", role)]
            self._type("person", "add", person_id, "--name", name, *asked, *secret)
        reason = "I answer for what this system does to my patients."
        self._type("sign", "G2", "--as", "ada", "--reason", reason, *secret)
        _chapter(self._out, "Gaps, their critical path, and the gate")
        self._type("gaps")
        self._type("gate")

    def compare_with_truth(self) -> None:
        """What was planted against what was found."""
        _chapter(self._out, "What was planted, and what was found")
        self._delivered = self._evidence()
        findings = [finding.what for each in self._delivered for finding in each.findings]
        table = Table(box=None, padding=(0, 2), header_style="dim")
        for name in ("planted", "where", "rows", "found by the inspection"):
            table.add_column(name)
        for row in planted_versus_found(self._paths.truth, findings):
            table.add_row(row.kind, row.where, str(row.rows), row.found or "NOT FOUND")
        self._out.print(table)

    def fix(self) -> None:
        """One fix, and only what it touches runs again."""
        _chapter(self._out, "One fix: the feed is repaired at its source")
        for line in repair_feed(self._folder):
            self._out.print(f"  {line}", markup=False)
        self._out.print("Only what depends on the feed is stale now, and runs again.")
        self._type("inspect")
        reason = "The worklist is safe to order at this quality; I set the bound before the data were seen."
        self._type("sign", "D2", "--as", "ada", "--reason", reason, "--passphrase-file", str(self._passphrase))
        self._type("gate")

    def answer(self) -> None:
        """The same five questions about the feed before and after the fix, each with its figures."""
        _chapter(self._out, "What harms and what only moved: five questions, answered from the evidence")
        for answer in five_answers(self._delivered, self._evidence()):
            self._answer(answer)

    def _answer(self, answer: Answer) -> None:
        self._out.print(f"\n{answer.question}", style="bold", markup=False)
        table = Table(box=None, padding=(0, 2), header_style="dim")
        for name in ("", "as delivered", "repaired"):
            table.add_column(name)
        for row in answer.rows:
            table.add_row(*row)
        self._out.print(table)
        if answer.remark:
            self._out.print(Padding(answer.remark, (0, 2)), style="dim")

    def _evidence(self) -> tuple[Evidence, ...]:
        """Everything on record, oldest first."""
        with opened(self._paths.manifest) as workspace:
            return tuple(each.evidence for each in envelopes(workspace.case()))

    def prove(self) -> None:
        """Report, bundle, and the proof."""
        _chapter(self._out, "Prove it to somebody else")
        bundle = str(self._folder / "bundle.zip")
        self._type("report", str(self._folder / "report.html"))
        self._type("export", bundle)
        self._type("verify", bundle, here=False)
        self._out.print(
            _NEXT.format(folder=self._folder, manifest=self._paths.manifest, command=_command()), markup=False
        )


_NEXT = """
Look at    {folder}/report.html
Verify     {command} verify {folder}/bundle.zip
Recompute  {command} gate --bundle {folder}/bundle.zip --json
Go on      {command} evidence show D1 --manifest {manifest}
           {command} gaps --manifest {manifest}"""


def _command() -> str:
    """How the reader called us, so that the lines above can be typed as they stand."""
    called = Path(sys.argv[0])
    return str(called) if called.name == "roadworthy" else "python -m roadworthy"


def _chapter(out: Console, title: str) -> None:
    out.print()
    out.print(Rule(title, align="left", style="dim"))


def _clear(folder: Path) -> None:
    """Make room for the demo without ever deleting what is not its own."""
    if folder.exists() and any(folder.iterdir()):
        if not (folder / _MARK).exists():
            raise InputError(f"{folder} is not empty and holds no demo.", remedy="Choose another folder: --dir FOLDER.")
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / _MARK).touch()
