"""Personal data in log lines. Owns finding and blotting it out; what is logged at all belongs to whoever logs.

Found are e-mail addresses, IBANs, payment cards, IP addresses, telephone numbers, and the national ids that were asked
for. Where a number carries check digits they are computed: an order number is not blotted out for looking like a card.

Rules kept here:
1. Time grows with the length of a line and with nothing else: every pattern is possessive or of bounded length.
2. What is longer than the cap is cut, and the line says so: what was not looked at is not written.
3. Addresses that mean the machine itself (127.0.0.1, ::1) are nobody's.

Sources: ISO 13616 (IBAN, modulo 97; lengths by country from the SWIFT registry), ISO/IEC 7812 (Luhn), E.164.
"""

import ipaddress
import logging
import re
from collections.abc import Callable, Collection, Mapping
from types import MappingProxyType
from typing import Final

from roadworthy.base.errors import ParameterError
from roadworthy.gateway.national_ids import NATIONAL_IDS

MOST_CHARS = 32 * 1024

_LENGTHS = (
    "AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DK18 DO28 EE20 EG29 ES24 FI18 FO18 "
    "FR27 GB22 GE22 GI23 GL18 GR27 GT28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 LB28 LC32 LI21 LT20 LU20 LV21 "
    "LY25 MC27 MD24 ME22 MK19 MR27 MT31 MU30 NL18 NO15 PK24 PL28 PS29 PT25 QA29 RO24 RS22 SA24 SC31 SE24 SI19 SK24 SM27 "
    "ST25 SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20"
)
_IBAN_LENGTH: Final[Mapping[str, int]] = MappingProxyType({each[:2]: int(each[2:]) for each in _LENGTHS.split()})
_IBAN_REMAINDER = 1

_EMAIL = re.compile(r"(?<![\w.%+'-])[\w.%+'-]++@[\w-]++(?:\.[\w-]++)++")
_IBAN_HEAD = re.compile(r"(?<![A-Za-z0-9])[A-Za-z]{2}[0-9]{2}(?=[ -]?[A-Za-z0-9])")
_CARD = re.compile(
    r"(?<![\d.-])(?:"
    r"4\d{12}(?:\d{3}){0,2}|[256]\d{15}(?:\d{3})?|35\d{14}|3[47]\d{13}|3[0689]\d{12}"
    r"|(?:[2456]\d|35)\d\d([ -])\d{4}\1\d{4}\1\d{4}(?:\1\d{3})?|3\d{3}([ -])\d{6}\2\d{4,5}"
    r")(?!\d)"
)
_IP4 = re.compile(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?!\w|\.\d)")
_IP6 = re.compile(r"(?<![\w:.])(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{0,4}(?![\w:])")
_PHONES = (
    re.compile(r"(?<![\w+])\+[1-9](?:[ .()/-]{0,2}\d){6,14}(?!\d)"),
    re.compile(r"(?<![\w.+-])(?:\(\d{3}\) ?|\d{3}([ .-]))\d{3}[ .-]\d{4}(?![\w-])"),
    re.compile(r"(?<![\w.:+-])0(?:0?[1-9])\d{0,3}([ -])\d{2,4}(?:\1\d{2,4}){1,3}(?![\w-])"),
    re.compile(r"(?<![\w.:+-])0\d{2,4}/\d{5,8}(?![\w/-])"),
)
_FEWEST_TRUNK_DIGITS = 9
_PERSONAL = re.compile(r"[@\d]|::")


class Redactor:
    """Blots out personal data in text.

    Args:
        national: names of national ids to look for, such as ``us-ssn``; see ``national_ids``.
        most_chars: of one text; the rest is cut.

    Raises:
        ParameterError: a national id that is not known (RW-114).
    """

    def __init__(self, national: Collection[str] = (), *, most_chars: int = MOST_CHARS) -> None:
        unknown = sorted(set(national) - set(NATIONAL_IDS))
        if unknown:
            remedy = f"Known here: {', '.join(NATIONAL_IDS)}."
            raise ParameterError(f"No national id is called {', '.join(unknown)}.", remedy=remedy)
        self._national = [(name, NATIONAL_IDS[name]) for name in dict.fromkeys(national)]
        self._most_chars = most_chars

    def redact(self, text: str) -> str:
        """The text with every find replaced by its kind in brackets, for example ``[e-mail]``."""
        rest = len(text) - self._most_chars
        # 2. Cut before looking: what is half at the cut could otherwise stay.
        text = text if rest <= 0 else _whole_words(text[: self._most_chars])
        if _PERSONAL.search(text):
            text = self._blot(text)
        return text if rest <= 0 else f"{text}[cut]"

    def _blot(self, text: str) -> str:
        # From the most to the least certain, since each takes its digits away from the next.
        if "@" in text:
            text = _EMAIL.sub(_blot_email, text)
        text = _blot_ibans(text)
        text = _IP4.sub(_blot_ip, text)
        if "::" in text or text.count(":") > 6:  # an address of version 6 has a gap, or seven colons
            text = _IP6.sub(_blot_ip, text)
        text = _replace_checked(_CARD, _is_card, "[card]", text)
        for name, national in self._national:
            text = _replace_checked(national.pattern, national.holds, f"[{name}]", text)
        for phone in _PHONES:
            text = phone.sub(_blot_phone, text)
        return text


class RedactingFilter(logging.Filter):
    """Blots out personal data in everything that a record writes: message, values, traceback and stack.

    It belongs on the handlers: a filter on a logger does not see the records of the loggers below it.

    Args:
        redactor: what to look for.
    """

    def __init__(self, redactor: Redactor) -> None:
        super().__init__()
        self._redact = redactor.redact
        self._formatter = logging.Formatter()

    def filter(self, record: logging.LogRecord) -> bool:
        """Change the record and let it pass."""
        # Values one by one first: a formatter may want them apart, as that of an access log does.
        if isinstance(record.args, tuple):
            record.args = tuple(self._redact(each) if isinstance(each, str) else each for each in record.args)
        try:
            message = record.getMessage()
        except (TypeError, ValueError, KeyError):
            # Words and values do not fit each other: the values are dropped, for they cannot be looked at in place.
            message, record.args = str(record.msg), None
        clean = self._redact(message)
        if clean != message:
            record.msg, record.args = clean, None
        if record.exc_info and not record.exc_text:
            record.exc_text = self._formatter.formatException(record.exc_info)
        if record.exc_text:
            record.exc_text, record.exc_info = self._redact(record.exc_text), None
        if record.stack_info:
            record.stack_info = self._redact(record.stack_info)
        return True


def _whole_words(text: str) -> str:
    """Without the last word, which the cut may have halved; without anything when it is one word."""
    end = max(text.rfind(" "), text.rfind("\n"), 0)
    return text[:end]


def _replace_checked(pattern: re.Pattern[str], holds: Callable[[str], bool], word: str, text: str) -> str:
    """Replace what the pattern finds and the check confirms; a find that fails hides no other that begins inside it."""
    parts: list[str] = []
    done = position = 0
    while (found := pattern.search(text, position)) is not None:
        if holds(found.group()):
            parts += (text[done : found.start()], word)
            done = position = found.end()
        else:
            position = found.start() + 1
    return "".join((*parts, text[done:])) if parts else text


def _is_card(text: str) -> bool:
    """Luhn: double every second digit from the right but one; the sum of all digits is a multiple of ten."""
    digits = [int(each) for each in reversed(text) if each.isdigit()]
    doubled = sum(sum(divmod(2 * digit, 10)) for digit in digits[1::2])
    return (sum(digits[::2]) + doubled) % 10 == 0


def _blot_email(found: re.Match[str]) -> str:
    # A package with its version, as in name@1.2.3, looks like an address but for its end.
    return found.group() if found.group().rpartition(".")[2].isdigit() else "[e-mail]"


def _blot_ip(found: re.Match[str]) -> str:
    try:
        address = ipaddress.ip_address(found.group())
    except ValueError:
        return found.group()
    return found.group() if address.is_loopback or address.is_unspecified else "[ip]"


def _blot_phone(found: re.Match[str]) -> str:
    text = found.group()
    trunk = text.startswith("0")
    digits = sum(each.isdigit() for each in text)
    return text if trunk and digits < _FEWEST_TRUNK_DIGITS else "[phone]"


def _blot_ibans(text: str) -> str:
    parts: list[str] = []
    done = position = 0
    while (found := _IBAN_HEAD.search(text, position)) is not None:
        end = _iban_end(text, found.start())
        if end:
            parts += (text[done : found.start()], "[iban]")
            done = end
        position = end or found.start() + 1
    return "".join((*parts, text[done:])) if parts else text


def _iban_end(text: str, start: int) -> int:
    """Where the IBAN that begins at ``start`` ends; 0 when there is none."""
    length = _IBAN_LENGTH.get(text[start : start + 2].upper(), 0)
    signs: list[str] = []
    position = start
    while len(signs) < length and position < len(text):
        sign = text[position]
        if sign.isascii() and sign.isalnum():
            signs.append(sign)
        elif sign not in " -" or text[position - 1] in " -":
            return 0
        position += 1
    if not length or len(signs) < length or text[position : position + 1].isalnum():
        return 0
    turned = "".join([*signs[4:], *signs[:4]])
    return position if int("".join(str(int(sign, 36)) for sign in turned)) % 97 == _IBAN_REMAINDER else 0
