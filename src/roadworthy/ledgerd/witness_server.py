"""A small witness: ``python -m roadworthy.ledgerd.witness_server``. Owns remembering what was cosigned, and the server.

What is cosigned is decided in ``roadworthy.ledger.witness``. Run it where the operator of the log cannot reach, with keys
that are not the log's: then a history that is written anew finds no second signature.

Rules kept here:
1. Deciding and remembering are one step under one lock, and what is remembered is synced before the signature leaves.
2. A memory that cannot be read stops the witness: it would cosign a second history.
"""

import argparse
import json
import os
import signal
import sys
import threading
from collections.abc import Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from roadworthy.base.canonical import canonical_bytes, parse_canonical
from roadworthy.base.clock import Clock, now
from roadworthy.base.errors import (
    MissingFile,
    NotCanonical,
    ParameterError,
    RoadworthyError,
    StoreBroken,
    UnreadableData,
)
from roadworthy.base.ids import new_id
from roadworthy.ledger.checkpoint import VerifierKey, parse_vkey
from roadworthy.ledger.cosignature import Cosigner, ml_dsa_cosigner
from roadworthy.ledger.keys import load_key
from roadworthy.ledger.merkle import HASH_BYTES
from roadworthy.ledger.witness import MAX_REQUEST_BYTES, Answer, Seen, decide

IDLE_S = 10
_REMEDY = "Restore the file from a copy that is not older than the last cosignature, or begin with a new key."


class Memory:
    """What was cosigned last, for every ledger, in one file.

    Args:
        path: is made with the first cosignature.

    Raises:
        StoreBroken: the file is there and cannot be read (RW-505).
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._seen = self._load()

    @property
    def seen(self) -> Mapping[str, Seen]:
        """By origin."""
        return self._seen

    def remember(self, origin: str, seen: Seen) -> None:
        """Durable when it returns.

        Raises:
            StoreBroken: the disk does not take it; nothing is remembered then (RW-505).
        """
        after = {**self._seen, origin: seen}
        data = canonical_bytes({name: {"size": each.size, "root": each.root.hex()} for name, each in after.items()})
        partial = self.path.with_name(f".{new_id('partial')}")
        try:
            try:
                with partial.open("xb") as stream:
                    stream.write(data)
                    stream.flush()
                    os.fsync(stream.fileno())
                partial.replace(self.path)
            finally:
                partial.unlink(missing_ok=True)
            descriptor = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            what = f"What was seen cannot be kept: {error.strerror}."
            raise StoreBroken(what, remedy="Check space and rights.", where=str(self.path)) from error
        self._seen = after

    def _load(self) -> dict[str, Seen]:
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            return {}
        except OSError as error:
            what = f"What was seen cannot be read: {error.strerror}."
            raise StoreBroken(what, remedy=_REMEDY, where=str(self.path)) from error
        try:
            members = parse_canonical(data)
            seen = {
                name: Seen(size=int(each["size"]), root=bytes.fromhex(each["root"])) for name, each in members.items()
            }
        except (NotCanonical, AttributeError, KeyError, TypeError, ValueError) as error:
            raise StoreBroken("What was seen cannot be read.", remedy=_REMEDY, where=str(self.path)) from error
        if any(each.size < 0 or len(each.root) != HASH_BYTES for each in seen.values()):
            raise StoreBroken("What was seen is not a tree.", remedy=_REMEDY, where=str(self.path))
        return seen


class Witness:
    """Decides, remembers, signs.

    Args:
        logs: the keys of the ledgers that it serves.
        cosigners: its own keys, one or more.
        memory: what it cosigned before.
        clock: for the time in a cosignature.
    """

    def __init__(
        self, logs: Sequence[VerifierKey], cosigners: Sequence[Cosigner], memory: Memory, *, clock: Clock = now
    ) -> None:
        self._logs: dict[str, list[VerifierKey]] = {}
        for key in logs:
            self._logs.setdefault(key.name, []).append(key)
        self._cosigners = tuple(cosigners)
        self._memory = memory
        self._clock = clock
        self._one_step = threading.Lock()

    def answer(self, body: bytes) -> Answer:
        """The answer to an add-checkpoint request.

        Raises:
            StoreBroken: what was decided cannot be remembered, so nothing is signed (RW-505).
        """
        with self._one_step:
            decided = decide(body, self._logs, self._memory.seen)
            checkpoint = decided.accepted
            if checkpoint is None:
                return decided
            self._memory.remember(checkpoint.origin, Seen(size=checkpoint.size, root=checkpoint.root))
        at_s = int(self._clock().timestamp())
        lines = [each.cosign(decided.text, at_s).line() for each in self._cosigners]
        return Answer(status=decided.status, body="".join(lines))


class WitnessServer(ThreadingHTTPServer):
    """Takes add-checkpoint requests.

    Args:
        address: host and port; port 0 takes a free one.
        witness: who answers.
    """

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, address: tuple[str, int], witness: Witness) -> None:
        self.witness = witness
        super().__init__(address, _Requests)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://{self.server_address[0]!s}:{self.server_address[1]}"


class _Requests(BaseHTTPRequestHandler):
    """One connection. A client that sends nothing is left after some seconds."""

    timeout = IDLE_S
    server: WitnessServer
    server_version = "roadworthy-witness"
    sys_version = ""

    def do_POST(self) -> None:
        """Answer add-checkpoint; anything else is not there."""
        if self.path != "/add-checkpoint":
            self._send(Answer(status=404, body="Only /add-checkpoint is here.\n"))
            return
        length = self.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdecimal()) or "Transfer-Encoding" in self.headers:
            self._send(Answer(status=411, body="Send a Content-Length.\n"))
        elif len(length) > len(str(MAX_REQUEST_BYTES)) or int(length) > MAX_REQUEST_BYTES:
            self._send(Answer(status=413, body="The request is too long.\n"))
        else:
            body = self.rfile.read(int(length))
            try:
                self._send(self.server.witness.answer(body))
            except StoreBroken as error:
                print(error, file=sys.stderr, flush=True)  # noqa: T201  # the one thing its operator must see
                self._send(Answer(status=500, body="The witness cannot remember.\n"))

    def log_message(self, *_: object) -> None:
        """A witness keeps no list of who asks."""

    def _send(self, answer: Answer) -> None:
        body = answer.body.encode()
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)


def load_seed(path: Path) -> bytes:
    """The 32 bytes of a seed, written as 64 hex digits.

    Raises:
        MissingFile: the file cannot be read (RW-102).
        UnreadableData: it holds something else (RW-103).
    """
    try:
        return bytes.fromhex(path.read_text(encoding="ascii").strip())
    except OSError as error:
        what = f"The seed cannot be read: {error.strerror}."
        raise MissingFile(what, remedy="Check the path.", where=str(path)) from error
    except ValueError as error:
        what = "This is not a seed."
        raise UnreadableData(what, remedy="Write 64 hex digits into it.", where=str(path)) from error


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until the process is told to end; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m roadworthy.ledgerd.witness_server", description="Cosign logs.")
    parser.add_argument("--listen", default="127.0.0.1:0", help="host:port")
    parser.add_argument("--name", required=True, help="the name of the witness, unique in the world")
    parser.add_argument("--state", type=Path, required=True, help="the file that keeps what was cosigned")
    parser.add_argument("--key", type=Path, help="an Ed25519 key in PEM")
    parser.add_argument("--ml-dsa-seed", type=Path, help="a file with the 64 hex digits of an ML-DSA-44 seed")
    parser.add_argument("--log", action="append", required=True, help="the key line of a ledger; may be repeated")
    options = parser.parse_args(arguments)
    try:
        cosigners = [Cosigner(options.name, load_key(options.key))] if options.key else []
        if options.ml_dsa_seed:
            cosigners.append(ml_dsa_cosigner(options.name, load_seed(options.ml_dsa_seed)))
        if not cosigners:
            raise ParameterError("A witness needs a key.", remedy="Give --key, --ml-dsa-seed, or both.")
        witness = Witness([parse_vkey(line) for line in options.log], cosigners, Memory(options.state))
        serve(options.listen, witness, [each.key.text() for each in cosigners])
    except RoadworthyError as error:
        print(error, file=sys.stderr)  # noqa: T201  # the output of a command
        return error.exit_code
    return 0


def serve(listen: str, witness: Witness, vkeys: Sequence[str]) -> None:
    """Serve until SIGTERM or SIGINT. Prints one line of JSON, {"url", "vkeys"}, once it listens.

    Raises:
        ParameterError: the address is malformed (RW-114).
        StoreBroken: the address cannot be listened on (RW-505).
    """
    host, _, port = listen.rpartition(":")
    if not host or not port.isdecimal():
        raise ParameterError(f"{listen!r} is not an address.", remedy="Give host:port.")
    try:
        server = WitnessServer((host, int(port)), witness)
    except (OSError, OverflowError) as error:
        what = f"The address {listen} cannot be listened on."
        raise StoreBroken(what, remedy="Choose another one.") from error
    with server:
        for each in (signal.SIGTERM, signal.SIGINT):
            # shutdown() waits for the loop that this very thread runs, so another one must call it.
            signal.signal(each, lambda *_: threading.Thread(target=server.shutdown, daemon=True).start())
        print(json.dumps({"url": server.url, "vkeys": list(vkeys)}), flush=True)  # noqa: T201  # the output of a command
        server.serve_forever(poll_interval=0.1)


if __name__ == "__main__":
    sys.exit(main())
