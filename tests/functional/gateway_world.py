"""One gateway in front of several AI systems, for all tests that only ask it: a plugin with the fixture ``world``.

| use case  | speaks                                   | what is special                              |
| --------- | ---------------------------------------- | -------------------------------------------- |
| search    | OpenAI, model policy-search              | the policy search of the demonstration       |
| assistant | OpenAI, model assistant; JSON at /score  | its AI system keeps what reached it          |
| swift     | OpenAI, model swift                      | streams flow, only their end waits           |
| tables    | Open Inference, model stand-in           |                                              |
| guarded   | OpenAI, model guarded                    | a contract looks at the member ``record``    |
| paced     | OpenAI, model paced                      | one question in a hundred seconds            |
| closed    | OpenAI, model closed                     | the policy denies it to everybody            |
| lost      | OpenAI, model lost                       | nobody listens behind it                     |
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import published_leaves
import pytest
from ai_system import AiSystem
from gateway_process import POLICY, Gateway, Upstream, config

from roadworthy.demo.materials import free_port
from roadworthy.gateway.identity.api_keys import new_key
from roadworthy.ledger.leaf import Leaf
from roadworthy.probes.stand_in import Manner, stand_in

CONTRACT = """
apiVersion: v3.1.0
kind: DataContract
id: patients
version: 1.0.0
status: active
schema:
  - name: patients
    properties:
      - {name: age, logicalType: integer, required: true, logicalTypeOptions: {minimum: 0, maximum: 120}}
"""


class World:
    """The gateway and what is around it.

    Args:
        gateway: that runs.
        system: behind the use case ``assistant``.
        search: address of the policy search.
        tables: address of the model behind the use case ``tables``.
    """

    def __init__(self, gateway: Gateway, system: AiSystem, search: str, tables: str) -> None:
        self.gateway, self.system, self.search, self.tables = gateway, system, search, tables
        self.base = f"http://127.0.0.1:{gateway.port}"

    @property
    def key(self) -> str:
        """An API key that counts."""
        return self.gateway.key

    def leaves(self, record: str, *ends: str) -> list[Leaf]:
        """The entries of an exchange, once the published log that holds its end was found sound."""
        ends = ends or (published_leaves.OUTCOME, published_leaves.ABANDONED)
        found: list[Leaf] = []

        def closed() -> bool:
            found[:] = published_leaves.of(published_leaves.verified(self.gateway.folder / "ledger"), record)
            return any(leaf.base.kind in ends for leaf in found)

        self.gateway.wait_for(closed)
        return found

    def outcome(self, record: str) -> Leaf:
        """The one outcome of an exchange."""
        return published_leaves.outcome(self.leaves(record), record)


def use_case(upstream: str, *models: str, **more: object) -> dict:
    """The block of one use case."""
    return {
        "tier": "R2",
        "purposes": ["work"],
        "routes": [{"protocol": "openai", "models": list(models)}] if models else [],
        "upstreams": {"main": {"url": upstream}},
        **more,
    }


def declared(system: str, search: str, tables: str) -> dict:
    """gateway.yaml."""
    assistant = use_case(system, "assistant")
    assistant["routes"].append({"protocol": "json", "path": "/score"})
    open_inference = use_case(tables.partition("/v2/")[0])
    open_inference["routes"] = [{"protocol": "open-inference", "model": "stand-in"}]
    guarded = use_case(system, "guarded", filter={"contract": "contract.yaml", "records_at": "/record"})
    use_cases = {
        "search": config(search)["use_cases"]["search"],
        "assistant": assistant,
        "swift": use_case(system, "swift", record="close-held"),
        "tables": open_inference,
        "guarded": guarded,
        "paced": use_case(system, "paced", limits={"caller_rps": 0.01}),
        "closed": use_case(system, "closed"),
        "lost": use_case(f"http://127.0.0.1:{free_port()}", "lost", fallback=[{"refuse": "Ask the desk."}]),
    }
    return {**config(search), "use_cases": use_cases}


@contextlib.contextmanager
def running(folder: Path) -> Iterator[World]:
    """Everything, until the block ends."""
    with AiSystem() as system, Upstream() as search, stand_in(Manner.SOUND) as tables:
        gateway = Gateway(folder, search.url)
        gateway.config = declared(system.url, search.url, tables.model_url)
        (folder / "contract.yaml").write_text(CONTRACT)
        gateway.expired, line = new_key("late", roles=["user"], scopes=["*"], purposes=["*"])
        keys = folder / "keys.yaml"
        keys.write_text(keys.read_text() + line.replace('"expires_at": "20', '"expires_at": "19') + "\n")
        gateway.write({**POLICY, "deny": [{"use_cases": ["closed"]}]})
        with gateway:
            yield World(gateway, system, search.url, tables.model_url)


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The gateway, once for the session: no test may stop or change it."""
    with running(tmp_path_factory.mktemp("world")) as found:
        yield found
