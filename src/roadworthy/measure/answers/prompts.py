"""Prompts as parts of a release. Owns their digest, what they are filled with, and which parts of a release they change.

A prompt decides as much as weights do, so it is versioned as they are: by the digest of everything that can change an
answer. Nobody gives it a version number by hand, and nobody can forget to raise one.

Rules kept here:
1. The digest covers the text to the last blank, the declared variables, the model that is addressed and its parameters.
2. A name does not change an answer: renaming a prompt leaves its own digest, but not that of the set that is released.
3. A placeholder is ``{{name}}``. Those in the text are exactly those declared, and values are put in once: a placeholder
   inside a value stays text, so nobody who writes a value can reach another one.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from roadworthy.base.digest import digest_of
from roadworthy.base.errors import ParameterError
from roadworthy.domain.use_case import Part

_PLACEHOLDER = re.compile(r"\{\{\s*([A-Za-z_]\w*)\s*\}\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """One prompt template.

    Attributes:
        name: unique in its set.
        text: the template, with ``{{name}}`` where a variable stands.
        variables: names of the variables; order does not matter.
        model: the model that is addressed, as its provider calls it, with its version.
        parameters: of the model, plain JSON: temperature, seed, the most tokens of an answer.
    """

    name: str
    text: str
    model: str
    variables: frozenset[str] = frozenset()
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        placed = set(_PLACEHOLDER.findall(self.text))
        if placed != self.variables:
            odd = ", ".join(sorted(placed ^ self.variables))
            raise ParameterError(
                f"The placeholders of prompt {self.name!r} are not its variables: {odd}.",
                remedy="Declare each placeholder as a variable and use each variable in the text.",
                where=f"prompt {self.name}",
            )

    @property
    def digest(self) -> str:
        """What this prompt is known by.

        Raises:
            NotCanonical: a parameter has no canonical JSON form, for example NaN (RW-111).
        """
        return digest_of(
            {
                "text": self.text,
                "variables": sorted(self.variables),
                "model": self.model,
                "parameters": self.parameters,
            }
        )

    def fill(self, values: Mapping[str, str]) -> str:
        """The text with its variables replaced.

        Raises:
            ParameterError: a value is missing, or belongs to no variable (RW-114).
        """
        odd = sorted(set(values) ^ self.variables)
        if odd:
            raise ParameterError(
                f"The values do not fit the variables of prompt {self.name!r}: {', '.join(odd)}.",
                remedy=f"Give exactly: {', '.join(sorted(self.variables)) or 'none'}.",
                where=f"prompt {self.name}",
            )
        return _PLACEHOLDER.sub(lambda match: values[match.group(1)], self.text)


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptChange:
    """What differs between two sets of prompts, by name, sorted.

    Attributes:
        added: only in the second.
        removed: only in the first.
        changed: in both, with another digest.
    """

    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]

    @property
    def new_release(self) -> bool:
        """Whether the second set makes another release."""
        return bool(self.added or self.removed or self.changed)


def release_parts(prompts: Sequence[Prompt]) -> dict[Part, str]:
    """The parts of a release that a set of prompts makes, by digest.

    All of it is the part ``PROMPT``: criteria that depend on the prompt become stale when a text or a model parameter
    changes, those that depend on the model's own weights do not. No prompt makes no part.

    Raises:
        ParameterError: two prompts have one name (RW-114).
        NotCanonical: a parameter has no canonical JSON form (RW-111).
    """
    digests = _digests(prompts)
    return {Part.PROMPT: digest_of(digests)} if digests else {}


def prompt_change(before: Sequence[Prompt], after: Sequence[Prompt]) -> PromptChange:
    """Compare two sets by the digests of their prompts.

    Raises:
        ParameterError: two prompts of one set have one name (RW-114).
        NotCanonical: a parameter has no canonical JSON form (RW-111).
    """
    old, new = _digests(before), _digests(after)
    return PromptChange(
        added=tuple(sorted(set(new) - set(old))),
        removed=tuple(sorted(set(old) - set(new))),
        changed=tuple(sorted(name for name in set(old) & set(new) if old[name] != new[name])),
    )


def _digests(prompts: Sequence[Prompt]) -> dict[str, str]:
    digests = {prompt.name: prompt.digest for prompt in prompts}
    if len(digests) < len(prompts):
        raise ParameterError("Two prompts have one name.", remedy="Name each prompt differently.")
    return digests
