"""Two writes of one turn are one call; nothing is lost, doubled or turned round."""

import asyncio

from roadworthy.gateway.joined_writes import JoinedWrites


class Below(asyncio.Transport):
    """Notes what reaches it."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[str] = []
        self.data = b""
        self.closing = False

    def write(self, data):
        self.calls.append("write")
        self.data += data

    def writelines(self, pieces):
        self.calls.append("writelines")
        self.data += b"".join(pieces)

    def close(self):
        self.calls.append("close")
        self.closing = True

    def abort(self):
        self.calls.append("abort")
        self.closing = True

    def write_eof(self):
        self.calls.append("eof")

    def can_write_eof(self):
        return True

    def is_closing(self):
        return self.closing

    def get_extra_info(self, name, default=None):
        return name


def test_a_head_waits_for_its_body() -> None:
    """One call for both; what comes later goes by itself."""

    async def run() -> Below:
        below = Below()
        joined = JoinedWrites(below, asyncio.get_running_loop())
        joined.write(b"head ")
        assert below.calls == []
        joined.write(b"body ")
        assert below.calls == ["writelines"]
        joined.write(b"more ")
        await asyncio.sleep(0)
        joined.write(b"last")
        await asyncio.sleep(0)
        return below

    below = asyncio.run(run())
    assert below.data == b"head body more last"
    assert below.calls == ["writelines", "write", "write"]


def test_whoever_ends_sends_first_what_is_held() -> None:
    """Except an abort, which throws it away."""

    async def run() -> None:
        loop = asyncio.get_running_loop()
        for end, calls in (("close", ["write", "close"]), ("write_eof", ["write", "eof"]), ("abort", ["abort"])):
            below = Below()
            joined = JoinedWrites(below, loop)
            joined.write(b"x")
            getattr(joined, end)()
            await asyncio.sleep(0)
            assert below.calls == calls
            assert joined.is_closing() is (end != "write_eof")
            assert joined.can_write_eof()
            assert joined.get_extra_info("socket") == "socket"

    asyncio.run(run())


def test_nothing_is_sent_into_a_closed_connection() -> None:
    """The turn ends after the caller has left."""

    async def run() -> Below:
        below = Below()
        joined = JoinedWrites(below, asyncio.get_running_loop())
        joined.write(b"x")
        below.closing = True
        await asyncio.sleep(0)
        return below

    assert asyncio.run(run()).calls == []
