"""The file of exposure: where the gateway may be reached, and what it may reach. Owns its schema.

::

    exposure: 1
    listen:
    - {address: "0.0.0.0:8400", tls: true}
    - {address: "127.0.0.1:8401"}
    egress: ["heart.internal:8080", "login.example.org:443"]
    blocked: ["example.org:443"]      # must be out of reach from where the check runs

Rules kept here: addresses are ``host:port`` as in gateway.yaml; unknown keys are errors.
"""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from roadworthy.kit.yaml_file import parse_model, read_text

Address = Annotated[str, Field(pattern=r"^[^\s/]+:\d{1,5}$", description="host:port")]


class _Block(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Door(_Block):
    """An address that is listened on."""

    address: Address
    tls: bool = False


class Exposure(_Block):
    """The file, version 1."""

    exposure: Literal[1]
    listen: list[Door] = Field(min_length=1)
    egress: list[Address] = []
    blocked: list[Address] = []


def read_exposure(path: Path) -> Exposure:
    """Read the file.

    Raises:
        MissingFile: there is no such file (RW-102).
        ManifestError: it breaks its schema; all problems are listed (RW-101).
    """
    return parse_model(read_text(path), path.name, Exposure)
