"""The second demonstration: a policy search behind a gateway, told as a transcript. Owns the order of the telling."""

from pathlib import Path

from roadworthy.base.clock import monotonic_s
from roadworthy.cli.output import console
from roadworthy.cli.transcript import RunCommand, Transcript, clear_folder, command
from roadworthy.demo.policy_client import PolicyAnswer, PolicyCaller
from roadworthy.demo.policy_search import (
    EMPLOYEE,
    PEOPLE_OFFICE,
    SearchPorts,
    write_keys,
    write_policy_search,
)
from roadworthy.demo.process import AnswersProcess, GatewayProcess, free_port
from roadworthy.domain.exchange import LeafKind
from roadworthy.ledger.leaf import Leaf
from roadworthy.ledger.log import LOG_VKEY
from roadworthy.probes.rehearsal.published import read_log

_HOME = "On how many days a week may I work from home?"
_SALARY = "What does a technician earn?"
_ILL = "What happens if I fall ill during my vacation?"
_TITLED = "How many days of annual leave do I have?"


def tell_policy_search(run: RunCommand, folder: Path) -> None:
    """Tell the journey of a question in a folder of its own.

    Args:
        run: executes one command line of ours and returns its exit code.
        folder: everything is made under it; an earlier demo there is replaced, anything else is left alone.

    Raises:
        InputError: the folder holds something that is not a demo (RW-100).
    """
    from_s = monotonic_s()
    transcript = Transcript(console(), run)
    clear_folder(folder)
    ports = SearchPorts(listen=free_port(), admin=free_port(), texts=free_port(), titles=free_port())
    write_policy_search(folder, ports)
    write_keys(folder)
    transcript.chapter("A policy search, and a gateway before it")
    transcript.say(_STORY)
    transcript.type("tier", str(folder / "answers" / "tier.yaml"))
    transcript.type("gateway", "--config", str(folder / "gateway.yaml"), "--check")
    transcript.show(f"roadworthy gateway --config {folder / 'gateway.yaml'} &")
    with (
        AnswersProcess(folder, ports.texts, "texts") as texts,
        AnswersProcess(folder, ports.titles, "titles"),
        GatewayProcess(folder / "gateway.yaml", ports.admin),
    ):
        teller = _Teller(transcript, folder, f"http://127.0.0.1:{ports.listen}")
        first = teller.ask_within_scope()
        teller.ask_beyond_scope()
        teller.lose_the_search(texts)
        teller.rate_and_prove(first)
    teller.sum_up()
    transcript.say(_NEXT.format(folder=folder, command=command()))
    transcript.say(f"\nThe whole journey took {monotonic_s() - from_s:.0f} s.")


class _Teller:
    def __init__(self, transcript: Transcript, folder: Path, url: str) -> None:
        self._transcript, self._folder = transcript, folder
        self._log = folder / "ledger" / "log"
        self._employee = PolicyCaller(url, folder / EMPLOYEE, folder / "prompts.yaml")
        self._people = PolicyCaller(url, folder / PEOPLE_OFFICE, folder / "prompts.yaml")

    def ask_within_scope(self) -> PolicyAnswer:
        """A question that the caller may ask, with its sources."""
        self._transcript.chapter("An employee asks")
        return self._ask(self._employee, "employee", _HOME, "internal")

    def ask_beyond_scope(self) -> None:
        """A source that one caller may see and another may not."""
        self._transcript.chapter("A source that not everybody may see")
        self._ask(self._people, "people-office", _SALARY, "hr")
        self._ask(self._employee, "employee", _SALARY, "hr")
        self._ask(self._employee, "employee", _SALARY, "internal")
        self._transcript.say(_REDACTION)

    def lose_the_search(self, texts: AnswersProcess) -> None:
        """The primary dies, and comes back."""
        self._transcript.chapter("The search dies")
        self._transcript.show(f"kill -9 {texts.kill()}")
        self._ask(self._employee, "employee", _TITLED, "internal")
        self._ask(self._employee, "employee", _ILL, "internal")
        texts.start()
        self._transcript.say("\nThe search is started again.")
        self._ask(self._employee, "employee", _ILL, "internal")
        self._transcript.say(_WEAKER)

    def rate_and_prove(self, answer: PolicyAnswer) -> None:
        """Feedback that names the record, and the record's receipt."""
        self._transcript.chapter("Feedback, and a receipt")
        index = self._employee.rate(answer.record, 80, "That was the policy I meant.")
        self._transcript.say(f"The employee rates record {answer.record} with 80; that is entry {index} of the ledger.")
        where = ("--config", str(self._folder / "gateway.yaml"), "--dir", str(self._folder))
        vkey = (self._log / LOG_VKEY).read_text(encoding="ascii").strip()
        for each in (answer.index, index):
            self._transcript.type("log", "proof", str(each), *where)
            self._transcript.type("log", "receipt", str(self._folder / f"{each}.tlog-proof"), "--vkey", vkey)

    def sum_up(self) -> None:
        """What the ledger holds, once the gateway is gone."""
        self._transcript.chapter("What is left when everything is stopped")
        vkey = (self._log / LOG_VKEY).read_text(encoding="ascii").strip()
        self._transcript.type("log", "verify", str(self._log), "--vkey", vkey)
        names = ("entry", "what ended", "asked with", "scope", "by", "status", "reason", "release")
        rows = [
            _row(index, leaf)
            for index, leaf in enumerate(read_log(self._log))
            if leaf.base.kind in (LeafKind.OUTCOME.value, LeafKind.FEEDBACK.value)
        ]
        self._transcript.table(names, rows)

    def _ask(self, caller: PolicyCaller, name: str, question: str, scope: str) -> PolicyAnswer:
        answer = caller.ask(question, scope)
        say = self._transcript.say
        say(f"\n{name} ({scope}): {question}")
        say(f"  {answer.status}  {answer.text}")
        if answer.sources:
            say(f"  sources  {', '.join(answer.sources)}")
        if answer.notice:
            say(f"  notice   {answer.notice}")
        say(f"  record   {answer.record}" + (f", entry {answer.index}" if answer.index >= 0 else ""))
        return answer


def _row(index: int, leaf: Leaf) -> tuple[str, ...]:
    facts = leaf.facts
    told = [str(facts.get(name, "")) for name in ("credential", "scope", "rung", "status", "reason")]
    release = str(facts.get("release", "")).removeprefix("sha256:")[:8]
    return (str(index), leaf.base.kind.removeprefix("exchange."), *told, release)


_STORY = """\
The handbook of a made-up harbour company has 16 policies; some are for everybody, some for staff, two for the people
office. A real search (BM25) answers with their sentences and cites them. A second one that only knows titles stands by:
on the same 39 questions it cites the right policy less than half as often (evaluation.json), and that is declared."""

_REDACTION = """
The policy refused the scope that this key does not carry. Under its own scope the search still found the salary bands,
since it looks with rights of its own: the gateway blots out the source. It cannot unsay a sentence. So a search must be
given only the documents that all of its callers may read (--scopes), and the ledger shows where it was not."""

_WEAKER = """
The weaker search was not passed off as the usual one: every answer of it said so, and its record says so for good."""

_NEXT = """
Ask again   start the two searches and the gateway as the README of examples/gateway-policy-search says
Audit       {command} log verify {folder}/ledger/log"""
