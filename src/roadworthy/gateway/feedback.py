"""What callers think of an answer. Owns the body of a feedback; its leaf is built by ``records``.

The leaf names the record that it is about, which must be an id as the gateway makes them. Whether that record is in the
ledger, and belongs to the use case, is not looked up here: the gateway has no index. Whoever builds one from the ledger
checks the tie, and counts a feedback whose record is not there, or is another use case's, for nothing. How often a caller
may judge is bounded by ``own_answers``.
"""

import re
from typing import NamedTuple

import orjson

from roadworthy.gateway.exchange import Reason, Refused
from roadworthy.gateway.routes import Endpoint, malformed
from roadworthy.gateway.stages import UseCaseStages

MOST_COMMENT_CHARS = 16_384
MOST_RATING = 100
_NAMES = frozenset({"record", "rating", "comment", "use_case"})
_RECORD = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


class Feedback(NamedTuple):
    """One feedback.

    Attributes:
        record: id of the exchange that it is about.
        rating: from -100 to 100.
        comment: free text; kept sealed, never in the leaf.
        use: the use case that the exchange belonged to.
    """

    record: str
    rating: int
    comment: str
    use: UseCaseStages


def read_feedback(body: bytes, endpoint: Endpoint) -> Feedback:
    """Read ``{"record", "rating", "comment"?, "use_case"?}``; the use case is needed where a path leads to several.

    Raises:
        Refused: anything else (400).
    """
    try:
        members = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise malformed("The feedback is not JSON.") from error
    if not isinstance(members, dict) or not members.keys() <= _NAMES:
        raise malformed("A feedback has the members record, rating, comment and use_case.")
    record, rating, comment = members.get("record"), members.get("rating"), members.get("comment", "")
    if not isinstance(record, str) or _RECORD.fullmatch(record) is None:
        raise malformed("The record is the value of x-roadworthy-record of the answer.")
    if not isinstance(rating, int) or isinstance(rating, bool) or not -MOST_RATING <= rating <= MOST_RATING:
        raise malformed(f"The rating is a whole number from -{MOST_RATING} to {MOST_RATING}.")
    if not isinstance(comment, str) or len(comment) > MOST_COMMENT_CHARS:
        raise malformed(f"The comment is a text of at most {MOST_COMMENT_CHARS} characters.")
    return Feedback(record, rating, comment, _use(members.get("use_case"), endpoint))


def _use(named: object, endpoint: Endpoint) -> UseCaseStages:
    if named is None and len(endpoint.uses) == 1:
        return endpoint.uses[0]
    for use in endpoint.uses:
        if use.id == named:
            return use
    raise Refused(Reason.MALFORMED, 400, "Name the use case of the record in use_case.")
