"""No connection leaves this machine. Owns the refusal, for the test session and for every child that it starts.

An audit hook rather than a patched ``socket``: it sees every way through the standard library, costs nothing elsewhere,
and no test can take it off again. uvloop has sockets of its own that raise no audit event, so its loop is guarded when it
is imported; it is never imported here.

Left alone: what is done by a foreign library in C with sockets of its own, and a child started with ``-I`` or ``-E``.
"""

import importlib.abc
import importlib.machinery
import importlib.util
import ipaddress
import socket
import sys

_NAMELESS = ("", "localhost", "localhost.localdomain")
_GUARDED_LOOP_CALLS = ("create_connection", "create_datagram_endpoint", "getaddrinfo")


class OutboundRefused(RuntimeError):
    """A test tried to leave this machine.

    No ``OSError``: code that reports an unreachable target must not be able to hide it.
    """


def install() -> None:
    """Refuse from now on, in this process. Once is enough; a second time does nothing."""
    if not any(isinstance(finder, _GuardUvloop) for finder in sys.meta_path):
        sys.addaudithook(_audit)
        sys.meta_path.insert(0, _GuardUvloop())


def check_host(host: object) -> None:
    """Let loopback pass and refuse everything else.

    Raises:
        OutboundRefused: the host is another machine, or may be one.
        socket.gaierror: a name under ``.invalid``, which no resolver may ever find (RFC 6761, section 6.4).
    """
    name = host.decode("ascii", "replace") if isinstance(host, bytes) else host
    if name is None or name in _NAMELESS:
        return
    if isinstance(name, str) and name.rstrip(".").endswith(".invalid"):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    if not _is_loopback(str(name)):
        raise OutboundRefused(
            f"A test tried to reach {name!r}. Only loopback is allowed: start a server on 127.0.0.1 instead."
        )


def _is_loopback(name: str) -> bool:
    try:
        address = ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


def _audit(event: str, arguments: tuple[object, ...]) -> None:
    if not event.startswith("socket."):
        return
    if event in {"socket.connect", "socket.sendto", "socket.sendmsg"}:
        address = arguments[1]
        # A path is AF_UNIX; None is a datagram on a socket that was connected, hence checked, before.
        if isinstance(address, tuple):
            check_host(address[0])
    elif event in {"socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"}:
        check_host(arguments[0])


class _GuardUvloop(importlib.abc.MetaPathFinder):
    """Guards ``uvloop.Loop`` as soon as somebody imports it."""

    def find_spec(self, name, path=None, target=None):
        if name != "uvloop":
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is not None:
            spec.loader = _GuardedLoader(spec.loader)
        return spec


class _GuardedLoader(importlib.abc.Loader):
    def __init__(self, loader):
        self._loader = loader

    def create_module(self, spec):
        return self._loader.create_module(spec)

    def exec_module(self, module):
        self._loader.exec_module(module)
        for call in _GUARDED_LOOP_CALLS:
            _guard(module.Loop, call)


def _guard(loop_class, call):
    original = getattr(loop_class, call)
    first_is_host = call == "getaddrinfo"

    async def guarded(self, *args, **kwargs):
        hosts = [args[0]] if first_is_host else _hosts(call, args, kwargs)
        for host in hosts:
            check_host(host)
        return await original(self, *args, **kwargs)

    setattr(loop_class, call, guarded)


def _hosts(call, args, kwargs):
    """The remote host of a call of the loop, wherever it stands."""
    if call == "create_connection":
        return [args[1] if len(args) > 1 else kwargs.get("host")]
    address = args[2] if len(args) > 2 else kwargs.get("remote_addr")
    return [address[0]] if isinstance(address, tuple) else []
