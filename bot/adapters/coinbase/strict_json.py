"""JSON that cannot mislead: one complete UTF-8 document, no NaN, no duplicate keys, numbers exact."""

from __future__ import annotations

import json
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from typing import Any, Final, NoReturn

NUMBER_LENGTH_MAX: Final = 64
EXPONENT_MAX: Final = 40


class NotStrictJson(ValueError):
    """The bytes are not one well-formed JSON object; the message says where it fails, never what it holds."""


class Document(dict[str, Any]):
    """One JSON object. Formats as a placeholder: the SDK formats every answer for a debug line nobody reads."""

    def __format__(self, spec: str) -> str:
        return format(f"<object of {len(self)} keys>", spec)


def parse_document(content: bytes) -> Document:
    """The object that `content` is. Fractions become Decimal, integers int.

    Raises: NotStrictJson for anything else, a cut-off document and a byte order mark included.
    """
    try:
        document = _DECODER.decode(_text(content))
    except (ValueError, RecursionError) as error:
        raise NotStrictJson(_reason(error)) from None
    if not isinstance(document, Document):
        raise NotStrictJson(f"the document is a {type(document).__name__}, not an object")
    return document


def _unique(pairs: Sequence[tuple[str, Any]]) -> Document:
    document = Document(pairs)
    if len(document) != len(pairs):
        raise NotStrictJson("an object names a key twice")
    return document


def _decimal(text: str) -> Decimal:
    if len(text) > NUMBER_LENGTH_MAX:
        raise NotStrictJson("a number is longer than any price")
    try:
        number = Decimal(text)
    except InvalidOperation:
        raise NotStrictJson("a number is out of range") from None
    if number and abs(number.adjusted()) > EXPONENT_MAX:
        raise NotStrictJson("a number is out of range")
    return number


def _integer(text: str) -> int:
    if len(text) > NUMBER_LENGTH_MAX:
        raise NotStrictJson("a number is longer than any price")
    return int(text)


def _refuse_constant(name: str) -> NoReturn:
    raise NotStrictJson(f"{name} is no JSON number")


def _text(content: bytes) -> str:
    text = content.decode("utf-8")
    if text.startswith("\ufeff"):
        raise NotStrictJson("the document begins with a byte order mark")
    return text


_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_unique, parse_float=_decimal, parse_int=_integer, parse_constant=_refuse_constant
)


def _reason(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} at character {error.pos} of {len(error.doc)}"
    if isinstance(error, UnicodeDecodeError):
        return f"not UTF-8 at byte {error.start}"
    return str(error) or type(error).__name__
