"""The sockets of a process and of everything that it started, as the kernel tells them. Linux only.

Owns reading /proc and sampling it while something happens. Leaves alone which sockets ought to be there.

Rules kept here:
1. A socket belongs to a process that has a descriptor of it; its addresses come from the tables of that process's network.
2. A sample shows what is open at one instant. A connection that is opened and closed between two samples is not seen, so
   samples follow each other closely, and nobody may call the result a proof that there was no other.
"""

import contextlib
import ipaddress
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, Self

_PROC = Path("/proc")
_TABLES = ("tcp", "tcp6", "udp", "udp6")
_LISTEN = "0A"
_EVERY_S = 0.01
_FAMILY_EVERY = 20
"""Samples between two looks at who belongs to the tree, which costs more than a sample."""


class Socket(NamedTuple):
    """One socket: ``host:port`` of both ends; ``remote`` is "" where there is none."""

    protocol: str
    local: str
    remote: str
    listening: bool


def process_tree(pid: int) -> frozenset[int]:
    """A process and all its descendants that run now."""
    parents: dict[int, int] = {}
    for entry in _PROC.iterdir():
        if entry.name.isdecimal():
            with contextlib.suppress(OSError, IndexError, ValueError):  # it ended meanwhile
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
    found, grown = {pid}, True
    while grown:
        more = {child for child, parent in parents.items() if parent in found} - found
        found |= more
        grown = bool(more)
    return frozenset(found)


def sockets_of(pids: frozenset[int]) -> frozenset[Socket]:
    """All network sockets of processes that share one network, now."""
    inodes = {inode for pid in pids for inode in _inodes(pid)}
    return frozenset(found for name in _TABLES for found in _table(min(pids), name, inodes))


class Sampler:
    """Samples the sockets of a process tree until its block ends. A context manager.

    Args:
        pid: of the process.

    Attributes:
        seen: every socket of any sample.
        samples: how many there were.
    """

    def __init__(self, pid: int) -> None:
        self.seen: set[Socket] = set()
        self.samples = 0
        self._pid, self._pids = pid, frozenset({pid})
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="socket-sampler", daemon=True)

    def __enter__(self) -> Self:
        """Begin."""
        self._sample()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Sample once more, and end."""
        self._over.set()
        self._thread.join()
        self._sample()

    @property
    def listening(self) -> frozenset[Socket]:
        """Sockets that waited for whoever comes."""
        return frozenset(each for each in self.seen if each.listening)

    @property
    def outbound(self) -> frozenset[Socket]:
        """Connections that the processes opened themselves: their own end is none that is listened on."""
        ports = {(each.protocol, _port(each.local)) for each in self.listening}
        return frozenset(each for each in self.seen if each.remote and (each.protocol, _port(each.local)) not in ports)

    def _run(self) -> None:
        while not self._over.wait(_EVERY_S):
            self._sample()

    def _sample(self) -> None:
        if self.samples % _FAMILY_EVERY == 0:
            self._pids = process_tree(self._pid)
        self.seen |= sockets_of(self._pids)
        self.samples += 1


def reachable(address: str, timeout_s: float) -> bool:
    """Whether a TCP connection to ``host:port`` can be opened from here."""
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=timeout_s):
            return True
    except OSError:
        return False


def _inodes(pid: int) -> Iterator[str]:
    with contextlib.suppress(OSError):  # the process ended meanwhile
        for descriptor in (_PROC / str(pid) / "fd").iterdir():
            with contextlib.suppress(OSError):
                target = str(descriptor.readlink())
                if target.startswith("socket:["):
                    yield target[len("socket:[") : -1]


def _table(pid: int, name: str, inodes: set[str]) -> Iterator[Socket]:
    """The rows of one table that have these inodes; the columns are those of proc_net_tcp in the kernel's documentation."""
    try:
        lines = (_PROC / str(pid) / "net" / name).read_text().splitlines()[1:]
    except OSError:  # a system without IPv6, or the process ended
        return
    protocol = name.removesuffix("6")
    for line in lines:
        columns = line.split(None, 10)
        if columns[9] not in inodes:
            continue
        local, remote, state = columns[1], columns[2], columns[3]
        peer = "" if _port(remote) == "0000" else _address(remote)
        listening = state == _LISTEN if protocol == "tcp" else not peer
        yield Socket(protocol=protocol, local=_address(local), remote=peer, listening=listening)


def _address(text: str) -> str:
    """``host:port`` of a hexadecimal address whose 32-bit words have the machine's byte order."""
    words, _, port = text.partition(":")
    raw = b"".join(int(words[at : at + 8], 16).to_bytes(4, sys.byteorder) for at in range(0, len(words), 8))
    host = ipaddress.ip_address(raw)
    mapped = host.ipv4_mapped if isinstance(host, ipaddress.IPv6Address) else None
    shown = str(mapped or host)
    return f"[{shown}]:{int(port, 16)}" if ":" in shown else f"{shown}:{int(port, 16)}"


def _port(address: str) -> str:
    return address.rpartition(":")[2]
