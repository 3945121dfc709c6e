"""Building blocks of the policy models: percentages, decimals, durations, and the strict frozen base."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, PlainValidator, WithJsonSchema

from bot.domain.money import Percent, decimal_text, parse_decimal
from bot.domain.product import ProductId
from bot.errors import UnitError
from bot.settings import spellings


class Section(BaseModel):
    """Base of every section: unknown keys are refused, values never change, defaults are written once, here."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """A copy with these fields instead, which works out anew what the original had remembered of its own fields."""
        copied = super().model_copy(update=update, deep=deep)
        for name in copied.__dict__.keys() - type(self).model_fields.keys():
            del copied.__dict__[name]
        return copied


def _found(value: object) -> str:
    """A value as it stands in the file, shortened."""
    return {"None": "null", "True": "true", "False": "false"}.get(repr(value), repr(value)[:60])


def _number(value: object) -> Decimal:
    """The number without trailing zeros, so that 2 and 2.00 are one value and one hash."""
    if isinstance(value, bool) or not isinstance(value, Decimal | int | str):
        raise ValueError(f"must be a plain number, was {_found(value)}")
    try:
        return Decimal(decimal_text(parse_decimal(value if isinstance(value, Decimal) else str(value), "value")))
    except UnitError as error:
        raise ValueError(str(error).removeprefix("value ")) from error


def _percent(value: object) -> Percent:
    percent = Percent(_number(value.value if isinstance(value, Percent) else value))
    if not 0 <= percent.value <= 100:
        raise ValueError(f"must be a percentage from 0 to 100, was {decimal_text(percent.value)}")
    return percent


def _part(value: object) -> Percent:
    percent = _percent(value)
    if percent.value >= 100:
        raise ValueError(f"must be a percentage below 100, was {decimal_text(percent.value)}")
    return percent


def _product(value: object) -> ProductId:
    if not isinstance(value, str):
        raise ValueError(f"must be a product id such as BTC-USD, was {_found(value)}")
    return ProductId.parse(value)


Pct = Annotated[
    Percent,
    PlainValidator(_percent),
    PlainSerializer(lambda value: decimal_text(value.value), return_type=str),
    WithJsonSchema({"type": "number", "minimum": 0, "maximum": 100}),
]
"""A percentage, 0-100, in every file and everywhere."""

Part = Annotated[
    Percent,
    PlainValidator(_part),
    PlainSerializer(lambda value: decimal_text(value.value), return_type=str),
    WithJsonSchema({"type": "number", "minimum": 0, "exclusiveMaximum": 100}),
]
"""A percentage to go below a price by: all of it would leave none."""

Number = Annotated[
    Decimal,
    BeforeValidator(_number),
    PlainSerializer(decimal_text, return_type=str),
    WithJsonSchema({"type": "number"}),
]
"""An exact decimal, built from the scalar's text."""

Positive = Annotated[Number, Field(gt=0), WithJsonSchema({"type": "number", "exclusiveMinimum": 0})]
Bps = Annotated[
    Number,
    Field(gt=0, lt=10_000),
    WithJsonSchema({"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 10_000}),
]
"""Basis points to go beyond a price by: below it by 10,000 there is none."""
Negative = Annotated[Number, Field(lt=0), WithJsonSchema({"type": "number", "exclusiveMaximum": 0})]
NotNegative = Annotated[Number, Field(ge=0), WithJsonSchema({"type": "number", "minimum": 0})]
Fraction = Annotated[Number, Field(ge=0, le=1), WithJsonSchema({"type": "number", "minimum": 0, "maximum": 1})]
Count = Annotated[
    int, BeforeValidator(spellings.whole), Field(ge=0, strict=True), WithJsonSchema({"type": "integer", "minimum": 0})
]
AtLeastOne = Annotated[
    int, BeforeValidator(spellings.whole), Field(ge=1, strict=True), WithJsonSchema({"type": "integer", "minimum": 1})
]
TierNumber = Annotated[
    int, BeforeValidator(spellings.tier), Field(ge=1, strict=True), WithJsonSchema({"type": "integer", "minimum": 1})
]
Flag = Annotated[bool, Field(strict=True)]
"""true or false and nothing that merely resembles them."""

Symbol = Annotated[
    ProductId,
    PlainValidator(_product),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string", "examples": ["BTC-USD"]}),
]
"""A product id in any spelling people use; always canonical once read."""
