"""The witness: remembers before it signs, one history for each ledger, and survives bad clients and restarts."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from published_log import LOG, SECOND_WITNESS, VKEY, WITNESS
from roadworthy.base.errors import MissingFile, StoreBroken, UnreadableData
from roadworthy.ledger.checkpoint import CheckpointSigner
from roadworthy.ledger.cosignature import cosignatures, ml_dsa_cosigner
from roadworthy.ledger.keys import generate_key, key_from_seed, save_key
from roadworthy.ledger.merkle import consistency_path, leaf_hash, root
from roadworthy.ledger.witness import SIZE_TYPE, CosignRequest, Seen
from roadworthy.ledgerd.witness_server import Memory, Witness, WitnessServer, load_seed, main

HASHES = [leaf_hash(b"%d" % index) for index in range(40)]
AT = datetime(2026, 11, 21, tzinfo=UTC)


def note_of(size: int) -> str:
    """The log's checkpoint."""
    return LOG.sign(size, root(HASHES[:size]))


def request(old: int, size: int) -> bytes:
    """An honest request."""
    proof = consistency_path(HASHES[:size], old) if 0 < old < size else ()
    return CosignRequest(old_size=old, proof=tuple(proof), note=note_of(size)).body()


@contextmanager
def serving(path: Path) -> Iterator[WitnessServer]:
    """A witness with two keys."""
    witness = Witness([LOG.verifier], [WITNESS, SECOND_WITNESS], Memory(path), clock=lambda: AT)
    with WitnessServer(("127.0.0.1", 0), witness) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def post(server: WitnessServer, body: bytes, path: str = "/add-checkpoint", **headers: str) -> tuple[int, str, str]:
    """Status, type and body of the answer."""
    connection = http.client.HTTPConnection(*server.server_address[:2], timeout=5)
    try:
        connection.request("POST", path, body, {name.replace("_", "-"): text for name, text in headers.items()})
        answer = connection.getresponse()
        return answer.status, answer.headers["Content-Type"], answer.read().decode()
    finally:
        connection.close()


def test_a_checkpoint_is_cosigned_with_every_key(tmp_path):
    """The lines stand under the note and verify, with the time of the witness."""
    with serving(tmp_path / "state") as server:
        status, _, lines = post(server, request(0, 7))
    found = cosignatures(note_of(7) + lines, [WITNESS.key, SECOND_WITNESS.key])
    assert status == 200
    assert [(each.name, each.at_s) for each in found] == [
        (WITNESS.name, int(AT.timestamp())),
        (SECOND_WITNESS.name, int(AT.timestamp())),
    ]


def test_it_remembers_across_restarts(tmp_path):
    """Or it would cosign a second history."""
    with serving(tmp_path / "state") as server:
        assert post(server, request(0, 7))[0] == 200
    with serving(tmp_path / "state") as server:
        assert post(server, request(0, 9)) == (409, SIZE_TYPE, "7\n")
        assert post(server, request(7, 9))[0] == 200
    assert Memory(tmp_path / "state").seen == {LOG.name: Seen(size=9, root=root(HASHES[:9]))}
    assert [path.name for path in tmp_path.iterdir()] == ["state"]


def test_no_signature_without_memory(tmp_path, monkeypatch, capsys):
    """A disk that fails is a 500, and nothing is signed or remembered."""
    with serving(tmp_path / "state") as server:
        with monkeypatch.context() as patch:

            def fail(_: int) -> None:
                raise OSError(5, "Input/output error")

            patch.setattr(os, "fsync", fail)
            status, _, text = post(server, request(0, 7))
            assert (status, "—" in text) == (500, False)
        assert "Input/output error" in capsys.readouterr().err
        assert post(server, request(0, 8))[0] == 200
    assert [path.name for path in tmp_path.iterdir()] == ["state"]


def test_it_is_remembered_before_the_answer(tmp_path, monkeypatch):
    """File, name, folder; only then the signature."""
    order: list[str] = []
    fsync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda number: (order.append("sync"), fsync(number)))
    witness = Witness([LOG.verifier], [WITNESS], Memory(tmp_path / "state"), clock=lambda: order.append("sign") or AT)
    assert witness.answer(request(0, 7)).status == 200
    assert order == ["sync", "sync", "sign"]


def test_of_many_at_once_one_wins(tmp_path):
    """Deciding and remembering are one step: from one old size only one continuation is signed."""
    forks = [[leaf_hash(b"fork %d" % each), *HASHES[1:9]] for each in range(8)]
    answers: list[int] = []
    with serving(tmp_path / "state") as server:

        def ask(hashes: list[bytes]) -> None:
            body = CosignRequest(old_size=0, proof=(), note=LOG.sign(9, root(hashes))).body()
            answers.append(post(server, body)[0])

        threads = [threading.Thread(target=ask, args=(hashes,)) for hashes in forks]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(answers) == [200, *[409] * 7]


def test_other_requests(tmp_path):
    """Another path, another ledger, no length, too long."""
    stranger = CheckpointSigner("stranger.example", key_from_seed(b"\x09" * 32))
    body = CosignRequest(old_size=0, proof=(), note=stranger.sign(1, HASHES[0])).body()
    with serving(tmp_path / "state") as server:
        assert post(server, b"", "/")[0] == 404
        assert post(server, body)[0] == 404
        assert post(server, b"nonsense")[0] == 400
        assert post(server, b"", Content_Length="x")[0] == 411
        assert post(server, b"", Content_Length="1", Transfer_Encoding="chunked")[0] == 411
        assert post(server, b"", Content_Length="65537")[0] == 413
        assert post(server, b"", Content_Length="9" * 30)[0] == 413
    assert not (tmp_path / "state").exists()


def test_a_silent_client_keeps_nobody_waiting(tmp_path):
    """Every connection has a thread of its own."""
    with serving(tmp_path / "state") as server, socket.create_connection(server.server_address[:2]) as silent:
        silent.send(b"POST /add-ch")
        assert post(server, request(0, 7))[0] == 200


@pytest.mark.parametrize(
    "data",
    [b"", b"[]", b'{"a":1}', b'{"a":{"size":1}}', b'{"a":{"root":"zz","size":1}}', b'{"a":{"root":"00","size":1}}'],
)
def test_a_memory_that_cannot_be_read_stops_it(tmp_path, data):
    """Better no witness than one that forgot."""
    (tmp_path / "state").write_bytes(data)
    with pytest.raises(StoreBroken):
        Memory(tmp_path / "state")


def test_a_memory_that_is_a_folder_stops_it(tmp_path):
    """So does any other error of the disk."""
    with pytest.raises(StoreBroken):
        Memory(tmp_path)


def test_a_seed_is_64_hex_digits(tmp_path):
    """In a file of its own."""
    (tmp_path / "seed").write_text("05" * 32 + "\n", encoding="ascii")
    assert ml_dsa_cosigner(SECOND_WITNESS.name, load_seed(tmp_path / "seed")).key == SECOND_WITNESS.key
    (tmp_path / "seed").write_text("no", encoding="ascii")
    with pytest.raises(UnreadableData):
        load_seed(tmp_path / "seed")
    with pytest.raises(MissingFile):
        load_seed(tmp_path / "nothing")


def options(folder: Path) -> list[str]:
    """A command line without a key."""
    return ["--name", WITNESS.name, "--state", str(folder / "state"), "--log", VKEY]


@pytest.mark.parametrize(
    "more", [[], ["--ml-dsa-seed", "nowhere"], ["--key", "nowhere"], ["--listen", "nowhere", "--ml-dsa-seed", "SEED"]]
)
def test_a_witness_that_cannot_start(tmp_path, more, capsys):
    """One line says why."""
    (tmp_path / "seed").write_text("05" * 32, encoding="ascii")
    more = [str(tmp_path / "seed") if each == "SEED" else each for each in more]
    assert main([*options(tmp_path), *more]) == 2
    assert "Remedy" in capsys.readouterr().err


def test_an_address_in_use(tmp_path, capsys):
    """It is told, not retried."""
    (tmp_path / "seed").write_text("05" * 32, encoding="ascii")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        assert main([*options(tmp_path), "--ml-dsa-seed", str(tmp_path / "seed"), "--listen", address]) == 5
    assert "cannot be listened on" in capsys.readouterr().err


def test_the_process(tmp_path):
    """As an operator runs it, with a key of each kind; it says where it listens and ends when it is told to."""
    save_key(generate_key(), tmp_path / "key.pem")
    (tmp_path / "seed").write_text("05" * 32, encoding="ascii")
    command = [sys.executable, "-m", "roadworthy.ledgerd.witness_server", *options(tmp_path)]
    command += ["--key", str(tmp_path / "key.pem"), "--ml-dsa-seed", str(tmp_path / "seed")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        said = json.loads(process.stdout.readline())
        host, _, port = said["url"].removeprefix("http://").partition(":")
        connection = http.client.HTTPConnection(host, int(port), timeout=5)
        connection.request("POST", "/add-checkpoint", request(0, 7))
        lines = connection.getresponse().read().decode()
        connection.close()
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    keys = [ml_dsa_cosigner(WITNESS.name, b"\x05" * 32).key]
    assert len(cosignatures(note_of(7) + lines, keys)) == 1
    assert len(said["vkeys"]) == 2
