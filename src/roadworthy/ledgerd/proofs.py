"""What the ledger's process answers about proofs. Owns the asks ``proof`` and ``checkpoint``; sockets are the server's.

``proof`` {"index", "wait_s"?} gives {"index", "leaf", "receipt", "cosigned"}: the leaf's text, its ``.tlog-proof``, and
whether enough witnesses cosigned the checkpoint in it. ``checkpoint`` {} gives {"checkpoint", "cosigned", "fault",
"witness_faults"}: both notes, why publishing stands still, and, by URL, why a witness is left out. ``status`` says the
faults, too.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

from roadworthy.base.errors import LedgerBroken, ParameterError
from roadworthy.ledger.receipt import Receipt
from roadworthy.ledger.tile_proof import TileTree
from roadworthy.ledger.tiles import TILE_WIDTH, TilePath, split_entries
from roadworthy.ledgerd.publisher import Publisher

Handler: TypeAlias = Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]
MAX_WAIT_S = 5.0
DEFAULT_WAIT_S = 2.0


class Proofs:
    """Answers from the published folder of one log."""

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher

    def handlers(self) -> dict[str, Handler]:
        """The asks by name."""
        return {"proof": self.proof, "checkpoint": self.checkpoint}

    async def proof(self, ask: dict[str, Any]) -> dict[str, Any]:
        """The receipt of one entry; waits until a checkpoint covers it.

        Raises:
            ParameterError: no index, no such entry, or it is not published in time (RW-114).
            LedgerBroken: a tile is missing or is not one (RW-503).
        """
        index = index_of(ask)
        wait_s = ask.get("wait_s", DEFAULT_WAIT_S)
        if isinstance(wait_s, bool) or not isinstance(wait_s, int | float) or not 0 <= wait_s <= MAX_WAIT_S:
            raise ParameterError(f"{wait_s!r:.80} is no wait.", remedy=f"Wait from 0 to {MAX_WAIT_S} seconds.")
        size, note, cosigned = await self._publisher.covering(index, wait_s)
        leaf, path = await asyncio.to_thread(self._look_up, index, size)
        receipt = Receipt(index=index, path=path, note=note).text()
        try:
            text = leaf.decode("utf-8")
        except UnicodeDecodeError as error:
            what = f"Entry {index} is no text."
            raise LedgerBroken(what, remedy="Take its bytes from the published bundle.") from error
        return {"index": index, "leaf": text, "receipt": receipt, "cosigned": cosigned}

    async def checkpoint(self, _: dict[str, Any]) -> dict[str, Any]:
        """The published checkpoints, and what is wrong with publishing, if anything is."""
        note, cosigned = self._publisher.notes()
        return {"checkpoint": note, "cosigned": cosigned, **self.faults()}

    def faults(self) -> dict[str, Any]:
        """What is wrong with publishing, and with the witnesses."""
        fault, witnesses = self._publisher.fault, self._publisher.witnesses
        left_out = {} if witnesses is None else {url: str(each) for url, each in witnesses.faults.items()}
        return {"fault": None if fault is None else str(fault), "witness_faults": left_out}

    def _look_up(self, index: int, size: int) -> tuple[bytes, tuple[bytes, ...]]:
        store = self._publisher.store
        path = TileTree(size, store.read_tile).inclusion_path(index)
        place, offset = divmod(index, TILE_WIDTH)
        width = min(TILE_WIDTH, size - place * TILE_WIDTH)
        bundle = TilePath(None, place, width)
        entries = split_entries(store.read_tile(bundle))[0]
        if offset >= len(entries):
            raise LedgerBroken("The bundle is cut short.", remedy="Verify the log.", where=bundle.text())
        return entries[offset], path


def telling(status: Handler, *facts: Callable[[], dict[str, Any]]) -> Handler:
    """The ask ``status``, which says these facts as well."""

    async def told(ask: dict[str, Any]) -> dict[str, Any]:
        answer = dict(await status(ask))
        for each in facts:
            answer |= each()
        return answer

    return told


def index_of(ask: dict[str, Any]) -> int:
    """The index that an ask names.

    Raises:
        ParameterError: none, or not a whole number from 0 up (RW-114).
    """
    index = ask.get("index")
    if isinstance(index, bool) or not isinstance(index, int) or index < 0:
        raise ParameterError(f"{index!r:.80} is not the index of an entry.", remedy="Give a whole number from 0 up.")
    return index
