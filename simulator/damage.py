"""Spoilt answers and the error pages of the edge, by name."""

from __future__ import annotations

import json
import re
from typing import Final

from bot.domain.value import replace
from simulator.faults import Damage, Garble, Rewrite, rewritten
from simulator.rest.call import HTML, JSON, TEXT, Answer
from simulator.text import dumps

EDGE_PAGE: Final = (
    '<!DOCTYPE html>\n<html>\n<head>\n<title>Coinbase</title>\n<meta name="robots" content="noindex">\n</head>\n'
    "<body>\n" + "<p>The service is busy. Please try again in a moment.</p>\n" * 60 + "</body>\n</html>\n"
)
"""Kilobytes of HTML, as an edge answers when it is overwhelmed."""

_HUGE: Final = 12 * 1024 * 1024
_QUOTED_NUMBER: Final = re.compile(rb'"(-?[0-9]+\.[0-9]+)"')


def error_body(status: int, name: str) -> tuple[bytes, str]:
    """Body and content type by name: `empty`, `html`, `json`, `text`; anything else is the body itself."""
    if name == "empty":
        return b"", TEXT
    if name == "html":
        return EDGE_PAGE.encode(), HTML
    if name == "text":
        return b"go/sg/ef39e44f-b3f6-48e6-b767-772e408986f8" if status == 503 else b"Too many errors", TEXT
    if name == "json":
        return _json_error(status), JSON
    return name.encode(), JSON if name.startswith("{") else TEXT


def _json_error(status: int) -> bytes:
    if status == 429:
        return dumps({"errors": [{"id": "rate_limit_exceeded", "message": "Too many requests"}]})
    return dumps({"error": "INTERNAL", "error_details": "internal server error", "message": "internal server error"})


def damaged(answer: Answer, fault: Garble | Rewrite) -> Answer:
    """The answer with its bytes spoilt or its document changed."""
    if isinstance(fault, Rewrite):
        return replace(answer, body=dumps(rewritten(json.loads(answer.body), fault)))
    match fault.damage:
        case Damage.HTML:
            return Answer(200, EDGE_PAGE.encode(), HTML)
        case Damage.EMPTY:
            return replace(answer, body=b"")
        case Damage.NO_CONTENT:
            return Answer(204, b"")
        case Damage.BOM:
            return replace(answer, body=b"\xef\xbb\xbf" + answer.body)
        case Damage.LATIN:
            body = answer.body[:-1] + b',"note":"caf\xe9"}'
            return replace(answer, body=body, content_type="application/json; charset=latin-1")
        case Damage.NAN:
            return replace(answer, body=_QUOTED_NUMBER.sub(b"NaN", answer.body))
        case Damage.HUGE:
            return replace(answer, body=answer.body[:-1] + b',"padding":"' + b"x" * _HUGE + b'"}')
        case _:
            return answer
