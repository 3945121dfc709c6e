"""Order ids: made from the account, the journal and the attempt, and from nothing that can be lost or repeated."""

from __future__ import annotations

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.snapshot import Environment, Mode
from bot.errors import UnitError
from bot.execution.identity import account_tag, generate_client_order_id, is_bot, is_ours

TAG = account_tag("portfolio", Environment.PRODUCTION, Mode.LIVE)

numbers = st.integers(1, 10**9)
names = st.text(min_size=1, max_size=20)


@given(names, numbers, numbers)
def test_every_id_is_a_version_4_uuid_that_is_recognised_as_ours(genesis, intent, attempt):
    made = generate_client_order_id(TAG, genesis, intent, attempt)
    assert str(uuid.UUID(made)) == made
    assert uuid.UUID(made).version == 4
    assert is_ours(made, TAG)
    assert is_bot(made)


@given(names, names, numbers, numbers, numbers, numbers)
def test_two_attempts_never_share_an_id_and_one_always_gets_the_same(one, other, i, j, a, b):
    same = (one, i, a) == (other, j, b)
    assert (generate_client_order_id(TAG, one, i, a) == generate_client_order_id(TAG, other, j, b)) is same


@pytest.mark.parametrize(
    ("portfolio", "env", "mode"),
    [
        ("other", Environment.PRODUCTION, Mode.LIVE),
        ("portfolio", Environment.STAGING, Mode.LIVE),
        ("portfolio", Environment.PRODUCTION, Mode.PAPER),
    ],
)
def test_an_order_of_another_account_is_the_bots_but_not_ours(portfolio, env, mode):
    made = generate_client_order_id(account_tag(portfolio, env, mode), "genesis", 1, 1)
    assert is_bot(made)
    assert not is_ours(made, TAG)


@pytest.mark.parametrize("text", ["", "someone-else", str(uuid.UUID(int=7)), "a" * 36])
def test_other_peoples_ids_are_not_the_bots(text):
    assert not is_bot(text)


@pytest.mark.parametrize(("genesis", "intent", "attempt"), [("", 1, 1), ("g", 0, 1), ("g", 1, 0)])
def test_an_id_is_not_made_from_nothing(genesis, intent, attempt):
    with pytest.raises(UnitError):
        generate_client_order_id(TAG, genesis, intent, attempt)
