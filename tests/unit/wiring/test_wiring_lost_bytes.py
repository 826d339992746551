import json

import pytest

from roadworthy.base.digest import digest_bytes
from roadworthy.base.errors import InputError, MissingFile, ParameterError
from roadworthy.cli.app import execute
from roadworthy.ledger.keys import key_from_seed, save_key
from roadworthy.ledgerd.acknowledgement import FILE, LostBytes, read_acknowledged
from roadworthy.wiring.lost_bytes import acknowledge_lost

OPERATOR = key_from_seed(b"o" * 32)
SEGMENT = "segments/00000000000000000000.seg"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "segments").mkdir()
    (tmp_path / SEGMENT).write_bytes(b"good frame" + b"damaged" + b"good frame")
    return tmp_path


def test_the_bytes_that_lie_there_are_signed(folder):
    """The digest is taken from the file, and the ledger reads the word of that operator only."""
    lost = acknowledge_lost(folder, SEGMENT, 10, 7, OPERATOR)
    assert lost == LostBytes(SEGMENT, 10, 7, digest_bytes(b"damaged"))
    assert read_acknowledged(folder, [OPERATOR.public]) == {lost}


def test_an_acknowledgement_is_never_overwritten(folder):
    """Later damage needs a word of its own."""
    acknowledge_lost(folder, SEGMENT, 10, 7, OPERATOR)
    before = (folder / FILE).read_bytes()
    with pytest.raises(InputError, match="there already"):
        acknowledge_lost(folder, SEGMENT, 0, 3, OPERATOR)
    assert (folder / FILE).read_bytes() == before


@pytest.mark.parametrize(("offset", "length"), [(20, 8), (27, 1), (0, 0)])
def test_bytes_that_are_not_there_are_refused(folder, offset, length):
    """Nothing is signed for what the file does not hold."""
    with pytest.raises(ParameterError):
        acknowledge_lost(folder, SEGMENT, offset, length, OPERATOR)
    assert not (folder / FILE).exists()


def test_a_segment_that_is_not_there_is_named(folder):
    """RW-102."""
    with pytest.raises(MissingFile):
        acknowledge_lost(folder, "segments/1.seg", 0, 1, OPERATOR)


def test_the_command_says_what_was_signed(folder, capsys):
    """With the operator's key file; the digest is shown for comparison with the refusal."""
    key = folder / "operator.pem"
    save_key(OPERATOR, key, passphrase=b"words")
    (folder / "words").write_text("words\n", encoding="utf-8")
    command = ["log", "acknowledge", str(folder), "--segment", SEGMENT, "--offset", "10", "--length", "7"]
    command += ["--key", str(key), "--passphrase-file", str(folder / "words"), "--json"]
    assert execute(command) == 0
    assert json.loads(capsys.readouterr().out)["digest"] == digest_bytes(b"damaged")
