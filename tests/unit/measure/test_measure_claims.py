"""Claims, code lists and directions: what holds, what does not and what cannot be told; and how a contract declares them."""

from pathlib import Path

import pyarrow as pa
import pytest

from roadworthy.base.errors import ContractError
from roadworthy.measure.passport.claims import Claim, ClaimKind, Coding, Direction, run_claims, run_codings
from roadworthy.measure.passport.declared import Declarations, read_declarations
from roadworthy.measure.passport.fingerprint import fingerprint
from roadworthy.measure.passport.openlineage import Name
from roadworthy.measure.quality import Verdict
from roadworthy.measure.table import file_digest, from_arrow, open_table, table_digest
from roadworthy.measure.xport import open_xport

HEART = (
    "age", "sex", "cp", "trestbps", "chol", "fbs", "restecg", "thalach",
    "exang", "oldpeak", "slope", "ca", "thal", "num",
)  # fmt: skip
CONTRACT = """\
version: 1.0.0
kind: DataContract
apiVersion: v3.1.0
id: c1
status: active
customProperties:
  - property: roadworthyPassport
    value:
      licence: CC-BY-4.0
      dataset: {namespace: "file://ward", name: heart}
      outcome: num > 0
      claims:
        - {rows: 303}
        - {distinct: sex, count: 2, where: age > 30, text: both sexes}
        - {noNulls: age}
        - {sha256: DIGEST, file: heart.csv}
        - {fingerprint: "sha256:DIGEST"}
schema:
  - name: heart
    properties:
      - name: cp
        customProperties:
          - {property: roadworthyPassport, value: {codes: {1: typical, 4: asymptomatic}}}
      - name: oldpeak
        customProperties:
          - {property: roadworthyPassport, value: {higherIs: worse}}
      - {name: age}
  - name: other
    properties:
      - name: x
        customProperties:
          - {property: roadworthyPassport, value: {higherIs: better}}
""".replace("DIGEST", "0123456789abcdef" * 4)


def _claims(table: object, *claims: Claim) -> list[tuple[Verdict, str]]:
    results = run_claims(table, claims)  # type: ignore[arg-type]  # a Table
    assert all(bool(result.remedy) == (result.verdict is not Verdict.MET) and result.claim for result in results)
    return [(result.verdict, result.found) for result in results]


def test_the_pilots_claims(shared_data: Path) -> None:
    """1,191 events in the first delivery and not in the second; 306 subjects, 254 treated, 52 screen failures."""
    folder = shared_data / "sdtm_cdiscpilot"
    events = Claim(kind=ClaimKind.ROWS, expected="1191", text="1,191 AE rows")
    assert _claims(open_xport(folder / "v1_cdiscpilot01_ae.xpt"), events) == [(Verdict.MET, "1,191 rows")]
    assert _claims(open_xport(folder / "v2_updated_ae.xpt"), events) == [(Verdict.NOT_MET, "961 rows")]
    subjects = open_xport(folder / "v1_cdiscpilot01_dm.xpt")
    distinct = Claim(kind=ClaimKind.DISTINCT, column="USUBJID", expected="306")
    treated = Claim(kind=ClaimKind.DISTINCT, column="USUBJID", expected="254", where="ARMCD <> 'Scrnfail'")
    failed = Claim(kind=ClaimKind.ROWS, expected="52", where="ARMCD = 'Scrnfail'")
    filled = Claim(kind=ClaimKind.NO_NULLS, column="USUBJID")
    gaps = Claim(kind=ClaimKind.NO_NULLS, column="DTHDTC")
    found = _claims(subjects, distinct, treated, failed, filled, gaps)
    assert [verdict for verdict, _ in found] == [Verdict.MET] * 4 + [Verdict.NOT_MET]


def test_digests_of_one_file_and_of_all(tmp_path: Path) -> None:
    """A file by its name, the only file without one, the data set as a whole, and the content."""
    path = tmp_path / "a.csv"
    path.write_text("x\n1\n2\n")
    table = open_table(path)
    digests = (file_digest(path), table_digest([path]), "sha256:" + file_digest(path))
    whole = [Claim(kind=ClaimKind.SHA256, expected=digest) for digest in digests]
    named = Claim(kind=ClaimKind.SHA256, expected=digests[0], column="a.csv")
    wrong = Claim(kind=ClaimKind.SHA256, expected="0" * 64)
    absent = Claim(kind=ClaimKind.SHA256, expected="0" * 64, column="b.csv")
    content = Claim(kind=ClaimKind.FINGERPRINT, expected=fingerprint(table).digest)
    verdicts = [verdict for verdict, _ in _claims(table, *whole, named, content, wrong, absent)]
    assert verdicts == [Verdict.MET] * 5 + [Verdict.NOT_MET, Verdict.UNKNOWN]
    memory = from_arrow(pa.table({"x": [1]}), "t")
    assert _claims(memory, wrong, Claim(kind=ClaimKind.FINGERPRINT, expected="sha256:0"))[0][0] is Verdict.UNKNOWN


def test_absent_columns_cannot_be_told() -> None:
    """A column that is not there, and a condition that is no SQL, are never met."""
    table = from_arrow(pa.table({"x": [1]}), "t")
    claims = (
        Claim(kind=ClaimKind.DISTINCT, column="y", expected="1"),
        Claim(kind=ClaimKind.NO_NULLS, column="y"),
        Claim(kind=ClaimKind.ROWS, expected="1", where="x ="),
    )
    assert [verdict for verdict, _ in _claims(table, *claims)] == [Verdict.UNKNOWN] * 3


def test_claims_have_words() -> None:
    """The producer's, or ours."""
    digest = "sha256:" + "ab" * 32
    assert [
        claim.words
        for claim in (
            Claim(kind=ClaimKind.ROWS, expected="3", where="x > 1"),
            Claim(kind=ClaimKind.DISTINCT, expected="3", column="id"),
            Claim(kind=ClaimKind.NO_NULLS, column="id"),
            Claim(kind=ClaimKind.SHA256, expected="ab" * 32, column="a.csv"),
            Claim(kind=ClaimKind.FINGERPRINT, expected=digest),
            Claim(kind=ClaimKind.ROWS, expected="3", text="three"),
        )
    ] == [
        "3 rows where x > 1", "3 different id", "no nulls in id", "a.csv has the SHA-256 abababababab",
        "the content has the fingerprint sha256:abababababab", "three",
    ]  # fmt: skip


def test_unknown_codes_are_named() -> None:
    """With their counts, the most frequent first, at most five; null is no code; 1 and 1.0 are one code."""
    table = from_arrow(pa.table({"c": [1.0, 4.0, 4.0, None, 9.0, 9.0, 7.0], "s": list("abcdefg")}), "t")
    good = Coding(column="c", codes=(("1", "a"), ("4", "b"), ("7", "c"), ("9", "d"), ("2", "never")))
    bad = Coding(column="c", codes=(("1", "a"), ("4", "b")))
    texts = Coding(column="s", codes=(("a", "first"),))
    results = run_codings(table, [good, bad, texts, Coding(column="x", codes=(("1", "a"),))])
    assert [result.verdict for result in results] == [Verdict.MET, Verdict.NOT_MET, Verdict.NOT_MET, Verdict.UNKNOWN]
    assert results[1].found == "3 rows with codes that nobody declared: 9 (2), 7 (1)"
    assert results[2].found.endswith("f (1) and 1 more")


def test_directions_on_the_heart_data(shared_data: Path) -> None:
    """More ST depression and a lower peak heart rate go with disease; turned round, both are broken."""
    path = shared_data / "heart_uci_4sites" / "canonical.processed.cleveland.data"
    table = open_table(path, names=HEART, header=False, null_texts=("", "?"))
    worse, better = Direction.HIGHER_IS_WORSE, Direction.HIGHER_IS_BETTER
    right = [Coding(column="oldpeak", direction=worse), Coding(column="thalach", direction=better)]
    wrong = [Coding(column="oldpeak", direction=better), Coding(column="thalach", direction=worse)]
    assert [result.verdict for result in run_codings(table, right, "num > 0")] == [Verdict.MET] * 2
    assert [result.verdict for result in run_codings(table, wrong, "num > 0")] == [Verdict.NOT_MET] * 2
    assert run_codings(table, right)[0].verdict is Verdict.UNKNOWN
    assert run_codings(table, [Coding(column="sex")], "num > 0") == ()
    assert run_codings(table, [Coding(column="none", direction=worse)], "num > 0")[0].verdict is Verdict.UNKNOWN


def test_a_direction_that_does_not_show_cannot_be_told() -> None:
    """Ten rows without an association, and rows of one outcome only."""
    table = from_arrow(pa.table({"x": [1, 2, 3, 4, 5, 5, 4, 3, 2, 1], "y": [0] * 5 + [1] * 5}), "t")
    coding = [Coding(column="x", direction=Direction.HIGHER_IS_WORSE)]
    assert run_codings(table, coding, "y = 1")[0].verdict is Verdict.UNKNOWN
    assert run_codings(table, coding, "y = 2")[0].verdict is Verdict.UNKNOWN


def test_a_contract_declares_them(tmp_path: Path) -> None:
    """Everything is read, for one table or for all; a contract without the property declares nothing."""
    path = tmp_path / "c.yaml"
    path.write_text(CONTRACT)
    declared = read_declarations(path, "heart")
    assert (declared.licence, declared.outcome) == ("CC-BY-4.0", "num > 0")
    assert declared.dataset == Name(namespace="file://ward", name="heart")
    assert [claim.kind for claim in declared.claims] == list(ClaimKind)
    assert declared.claims[1] == Claim(
        kind=ClaimKind.DISTINCT, expected="2", column="sex", where="age > 30", text="both sexes"
    )
    assert declared.codings == (
        Coding(column="cp", codes=(("1", "typical"), ("4", "asymptomatic"))),
        Coding(column="oldpeak", direction=Direction.HIGHER_IS_WORSE),
    )
    assert len(read_declarations(path).codings) == 3
    path.write_text(CONTRACT.replace("roadworthyPassport", "other"))
    assert read_declarations(path) == Declarations()


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("licence:", "license:", "licence"),
        ("{rows: 303}", "{rows: 303, noNulls: age}", "Claim 1 says 2 things"),
        ("{rows: 303}", "{where: age > 3}", "Claim 1 says 0 things"),
        ("{rows: 303}", "{rows: -1}", "greater than or equal"),
        ("higherIs: worse", "higherIs: up", "'worse' or 'better'"),
        ("higherIs: worse", "higher: worse", "higherIs"),
        ("  - property: roadworthyPassport\n", "  - {property: roadworthyPassport, value: {}}\n  - property: roadworthyPassport\n", "twice"),
    ],
)  # fmt: skip
def test_malformed_declarations_are_refused(tmp_path: Path, old: str, new: str, words: str) -> None:
    """With the file and the line."""
    assert old in CONTRACT
    (tmp_path / "c.yaml").write_text(CONTRACT.replace(old, new, 1))
    with pytest.raises(ContractError, match=words) as caught:
        read_declarations(tmp_path / "c.yaml")
    assert "c.yaml:" in caught.value.where
