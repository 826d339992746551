"""A small file of facts, written by a person in YAML or by a program in JSON. Owns choosing between the two.

Rules kept here:
1. The name decides, never the content: ``.json`` is JSON, everything else is YAML.
2. Both are read strictly: unknown keys, keys that stand twice and aliases are errors.
3. YAML takes about a millisecond for each entry, and the gateway waits meanwhile: long lists belong in JSON.
"""

from typing import TypeVar

from pydantic import BaseModel, ValidationError

from roadworthy.base.canonical import parse_json
from roadworthy.base.errors import ManifestError, NotCanonical
from roadworthy.kit.yaml_file import parse_model

Model = TypeVar("Model", bound=BaseModel)
_REMEDY = "Correct the file as docs/gateway.md describes it."


def parse_declared(data: bytes, name: str, model: type[Model]) -> Model:
    """Read the bytes of such a file.

    Args:
        data: the whole file.
        name: of the file, for messages and for the choice.
        model: what it must say.

    Raises:
        ManifestError: not UTF-8, neither YAML nor JSON, or not what the model says (RW-101).
    """
    try:
        if name.endswith(".json"):
            return model.model_validate(parse_json(data))
        return parse_model(data.decode("utf-8"), name, model, remedy=_REMEDY)
    except UnicodeDecodeError as error:
        raise ManifestError(f"{name} is not UTF-8 text.", remedy="Save it as UTF-8.", where=name) from error
    except NotCanonical as error:
        raise ManifestError(f"{name} is not JSON: {error.what}", remedy=_REMEDY, where=name) from error
    except ValidationError as error:
        listed = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()[:10])
        what = f"{error.error_count()} problem(s) in {name}: {listed}."
        raise ManifestError(what, remedy=_REMEDY, where=name) from error
