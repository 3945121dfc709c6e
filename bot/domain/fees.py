"""Fee-aware sizing: the one arithmetic of risk and execution, exact to one increment.

A buy of `size` at `price` costs size x price x (1 + rate): on a base-sized order the venue takes its fee on top, in
quote currency. `rate` is a fraction (0.006 = 0.6 %) and never negative: a rebate is not counted on.
"""

from __future__ import annotations

from decimal import ROUND_CEILING, Decimal

from bot.domain.money import EXACT, ONE, ZERO, Money, Percent, Price, Size, ceil_to, floor_to
from bot.domain.product import BUY, Product
from bot.domain.state import FeeTier
from bot.errors import UnitError


def assumed_rate(tier: FeeTier, worst_maker: Percent, worst_taker: Percent) -> Decimal:
    """The rate every size and exposure is computed with: the highest of what is known and what is feared."""
    return max(tier.maker, tier.taker, worst_maker.fraction, worst_taker.fraction)


def estimate_fee(product: Product, price: Price, size: Size, rate: Decimal) -> Money:
    """Fee of filling `size` at `price`, in quote currency, not rounded."""
    return product.notional(price, size).times(_checked(rate))


def cost_with_fee(product: Product, price: Price, size: Size, rate: Decimal) -> Money:
    """Everything a buy of `size` at `price` takes from the quote wallet."""
    return product.notional(price, size).times(EXACT.add(ONE, _checked(rate)))


def net_of(product: Product, gross: Money, rate: Decimal) -> Money:
    """Largest notional, in quote increments, that `gross` pays for together with its fee; zero when nothing is left."""
    if gross.amount <= ZERO:
        return Money.zero(gross.currency)
    unit = EXACT.multiply(product.quote_step, EXACT.add(ONE, _checked(rate)))
    return Money(EXACT.multiply(EXACT.divide_int(gross.amount, unit), product.quote_step), gross.currency)


def size_after_fees(product: Product, price: Price, rate: Decimal, gross: Money) -> Size:
    """Largest whole number of base increments that `gross` pays for at `price`, fee included.

    Minimums are not applied: the answer may be zero or below what the venue takes.
    Raises: UnitError when `gross` is not in the product's quote currency or `rate` is negative.
    """
    if gross.currency != product.quote:
        raise UnitError(f"{product.id} is paid in {product.quote}, the budget is {gross}")
    if gross.amount <= ZERO:
        return Size.zero()
    step_cost = cost_with_fee(product, price, Size(product.size_step), rate).amount
    return Size(EXACT.multiply(EXACT.divide_int(gross.amount, step_cost), product.size_step))


def size_to_achieve_net(product: Product, price: Price, rate: Decimal, net: Size) -> Money:
    """Least quote amount, in quote increments, that buys `net` (rounded up to a base step) at `price`, with its fee.

    The inverse of `size_after_fees`: for a legal size and a quote increment no dearer than a base increment,
    size_after_fees(size_to_achieve_net(size)) == size.
    """
    whole = Size(ceil_to(net.value, product.size_step))
    return Money(ceil_to(cost_with_fee(product, price, whole, rate).amount, product.quote_step), product.quote)


def smallest_legal(product: Product, price: Price) -> Size | None:
    """Smallest base size the venue takes at `price`; None when its own bounds leave nothing."""
    step_value = EXACT.multiply(price.value, product.size_step)
    by_value = EXACT.multiply(_ceil_div(product.quote_min, step_value), product.size_step)
    size = Size(max(ceil_to(product.base_min, product.size_step), by_value, product.size_step))
    fits = size.value <= product.base_max and product.notional(price, size).amount <= product.quote_max
    return size if fits else None


def get_min_gross_size(product: Product, price: Price, rate: Decimal) -> Money | None:
    """Least quote amount that buys a legal size at `price`, fee included; None when no size is legal."""
    size = smallest_legal(product, price)
    return None if size is None else size_to_achieve_net(product, price, rate, size)


def largest_buy(product: Product, budget: Money, worst: Price, touch: Price) -> Size | None:
    """Largest legal size whose notional at `worst` stays within `budget` (fees already set aside).

    It must be legal at `worst`, where it is dearest, and at `touch`, the lowest limit the order may get, where it could
    fall below the venue's minimum. None when there is no such size.
    """
    if budget.amount <= ZERO:
        return None
    room = budget if budget.amount <= product.quote_max else Money(product.quote_max, budget.currency)
    size = size_after_fees(product, worst, ZERO, room)
    if size.value > product.base_max:
        size = Size(floor_to(product.base_max, product.size_step))
    dearest, cheapest = product.passive(worst, BUY), product.passive(touch, BUY)
    return size if product.fits(dearest, size) and product.fits(cheapest, size) else None


def largest_sale(product: Product, size: Size, worst: Price) -> Size | None:
    """Largest legal part of `size` that can be sold at `worst`; None for dust."""
    part = _legal_part(product, size, worst)
    return None if part is None else Size(part)


def dust(product: Product, size: Size, worst: Price) -> bool:
    """Whether nothing of `size` can be sold at `worst`."""
    return _legal_part(product, size, worst) is None


def _legal_part(product: Product, size: Size, worst: Price) -> Decimal | None:
    base = floor_to(min(size.value, product.base_max), product.size_step)
    return base if product.takes(ceil_to(worst.value, product.price_step), base) else None


def _checked(rate: Decimal) -> Decimal:
    if not (rate.is_finite() and rate >= ZERO):
        raise UnitError(f"fee rate must be a finite fraction >= 0, was {rate}")
    return rate


def _ceil_div(value: Decimal, unit: Decimal) -> Decimal:
    whole = EXACT.divide_int(value, unit)
    return whole if EXACT.multiply(whole, unit) == value else EXACT.add(whole, ONE).to_integral_value(ROUND_CEILING)
