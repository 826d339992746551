"""National ids that redaction can look for. Owns their shapes and check digits, one entry each.

They are off until asked for: nine digits are an id in one country and an order number in the next.
Sources: the issuing authorities' published rules, named at each check.
"""

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

_LETTERS = "TRWAGMYFPDXBNJZSQVHLCKE"


class NationalId(NamedTuple):
    """One kind of id: where it may stand, and whether a find is one."""

    pattern: re.Pattern[str]
    holds: Callable[[str], bool]


def _digits(text: str) -> list[int]:
    return [int(each) for each in text if each.isdigit()]


def _weighted(digits: list[int], weights: tuple[int, ...]) -> int:
    return sum(digit * weight for digit, weight in zip(digits, weights, strict=True))


def _us_ssn(text: str) -> bool:
    """Social Security Administration: area not 000, 666 or 900 and above; group not 00; serial not 0000."""
    area, group, serial = text[:3], text[4:6], text[7:]
    return area not in {"000", "666"} and area < "900" and group != "00" and serial != "0000"


def _uk_nhs(text: str) -> bool:
    """NHS Data Dictionary: modulo 11 over nine digits with the weights 10 to 2; 10 is no check digit."""
    *head, last = _digits(text)
    return (11 - _weighted(head, (10, 9, 8, 7, 6, 5, 4, 3, 2)) % 11) % 11 == last and len({*head, last}) > 1


def _nl_bsn(text: str) -> bool:
    """Rijksdienst voor Identiteitsgegevens: the test of eleven, with -1 as the weight of the last digit."""
    return _weighted(_digits(text), (9, 8, 7, 6, 5, 4, 3, 2, -1)) % 11 == 0 and len(set(text)) > 1


def _pl_pesel(text: str) -> bool:
    """Ustawa o ewidencji ludności: weights 1, 3, 7, 9, repeated; sum and check digit end in 0."""
    return _weighted(_digits(text), (1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1)) % 10 == 0 and len(set(text)) > 1


def _es_dni(text: str) -> bool:
    """Ministerio del Interior: the letter stands for the number modulo 23; X, Y, Z begin as 0, 1, 2."""
    number = text[:-1].replace("-", "").upper().translate(str.maketrans("XYZ", "012"))
    return _LETTERS[int(number) % 23] == text[-1].upper()


NATIONAL_IDS: Final[Mapping[str, NationalId]] = MappingProxyType(
    {
        "us-ssn": NationalId(re.compile(r"(?<![\w-])\d{3}-\d{2}-\d{4}(?![\w-])", re.ASCII), _us_ssn),
        "uk-nhs": NationalId(re.compile(r"(?<![\w-])\d{3}([ -]?)\d{3}\1\d{4}(?![\w-])", re.ASCII), _uk_nhs),
        "nl-bsn": NationalId(re.compile(r"(?<![\w.-])\d{9}(?![\w-])", re.ASCII), _nl_bsn),
        "pl-pesel": NationalId(re.compile(r"(?<![\w.-])\d{11}(?![\w-])", re.ASCII), _pl_pesel),
        "es-dni": NationalId(re.compile(r"(?<![\w-])[XYZxyz\d]\d{7}-?[A-Za-z](?![\w-])", re.ASCII), _es_dni),
    }
)
