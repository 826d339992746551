"""Files that an operator declares beside the gateway: exposure and transactions."""

from pathlib import Path

import pytest

from roadworthy.base.errors import ManifestError
from roadworthy.kit.declared.exposure import read_exposure
from roadworthy.kit.declared.transactions import read_transactions

EXPOSURE = """\
exposure: 1
listen:
- {address: "0.0.0.0:8400", tls: true}
egress: ["heart.internal:8080"]
"""
TRANSACTION = """\
transactions: 1
items:
- name: letter
  path: /score
  body: {patient: "{{tag}}"}
  arrives:
  - {answer: /id}
  - {get: "http://archive:8080/letters?patient={{tag}}", within_s: 20}
  - {file: outbox/*.json, times: 2}
"""


def write(folder: Path, text: str) -> Path:
    """The file."""
    path = folder / "declared.yaml"
    path.write_text(text)
    return path


def test_exposure_is_read(tmp_path: Path) -> None:
    """With what is left out."""
    found = read_exposure(write(tmp_path, EXPOSURE))
    assert [(door.address, door.tls) for door in found.listen] == [("0.0.0.0:8400", True)]
    assert (found.egress, found.blocked) == (["heart.internal:8080"], [])


@pytest.mark.parametrize(
    ("old", "new"),
    [("exposure: 1", "exposure: 2"), ("0.0.0.0:8400", "everywhere"), ("egress:", "egres:"), ("8080", "http")],
)
def test_a_bad_exposure_is_refused(tmp_path: Path, old: str, new: str) -> None:
    """Version, address, key."""
    with pytest.raises(ManifestError, match=r"declared\.yaml"):
        read_exposure(write(tmp_path, EXPOSURE.replace(old, new)))


def test_transactions_are_read(tmp_path: Path) -> None:
    """Every kind of place, in words too."""
    (item,) = read_transactions(write(tmp_path, TRANSACTION)).items
    assert [place.title for place in item.arrives] == [
        "answer /id",
        "get http://archive:8080/letters?patient={{tag}}",
        "file outbox/*.json",
    ]
    assert [place.within_s for place in item.arrives] == [10.0, 20.0, 10.0]
    assert [place.times for place in item.arrives] == [1, 1, 2]


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ('{{tag}}"}\n  arrives', 'p1"}\n  arrives', "holds no"),
        ("{answer: /id}", "{answer: /id, file: a}", "exactly one of"),
        ("{answer: /id}", "{within_s: 3}", "exactly one of"),
        ("times: 2", "times: 0", "greater than or equal to 1"),
        ("path: /score", "path: score", "pattern"),
    ],
)
def test_a_bad_transaction_is_refused(tmp_path: Path, old: str, new: str, why: str) -> None:
    """Each problem with its reason."""
    assert old in TRANSACTION
    with pytest.raises(ManifestError, match=why):
        read_transactions(write(tmp_path, TRANSACTION.replace(old, new)))


def test_names_are_unique(tmp_path: Path) -> None:
    """Rows of the evidence are told apart by them."""
    twice = TRANSACTION + TRANSACTION.partition("items:\n")[2]
    with pytest.raises(ManifestError, match="one name"):
        read_transactions(write(tmp_path, twice))
