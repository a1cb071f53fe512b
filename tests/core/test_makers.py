"""What a maker makes is what the class makes, and as frozen."""

import copy
from dataclasses import KW_ONLY, FrozenInstanceError, dataclass, field, replace
from decimal import Decimal

import pytest
from tests.core.builders import entry, lifecycles_of

from unghost.makers import maker
from unghost.model import LifecycleKey, Money, Reason, Refusal, Ruling

MONEY = {"currency": "USDT", "amount": Decimal("0.04")}


def test_it_is_what_the_class_makes():
    made = maker(Money)(**MONEY)
    assert type(made) is Money
    assert made == Money(**MONEY)
    assert hash(made) == hash(Money(**MONEY))
    assert repr(made) == repr(Money(**MONEY))


def test_nobody_can_set_or_take_away_a_field_of_it():
    made = maker(Money)(**MONEY)
    with pytest.raises(FrozenInstanceError):
        made.amount = Decimal(1)
    with pytest.raises(FrozenInstanceError):
        del made.amount
    assert made == Money(**MONEY)


def test_it_is_changed_copied_and_kept_like_any_other():
    made = maker(Money)(**MONEY)
    assert replace(made, currency="BNB") == Money(currency="BNB", amount=MONEY["amount"])
    assert copy.deepcopy(made) == made


def test_what_is_left_out_has_its_default():
    made = maker(Refusal)(reason=Reason.PLAN_DRIFT, quantity=Decimal(1), sentence="moved")
    assert made.order_id is None


def test_a_default_that_is_made_is_made_anew_each_time():
    [lifecycle] = lifecycles_of([entry("e-1", 1)])
    make = maker(Ruling)
    one, other = make(lifecycle=lifecycle, gates=()), make(lifecycle=lifecycle, gates=())
    assert one.evidence == other.evidence == {}
    assert one.evidence is not other.evidence


@pytest.mark.parametrize(
    "given",
    ({"profile_id": "main", "symbol": "BTCUSDT"}, {"profile_id": "main", "quantity": 1}, {}),
)
def test_it_takes_only_what_the_class_takes(given):
    with pytest.raises(TypeError):
        LifecycleKey(**given)
    with pytest.raises(TypeError):
        maker(LifecycleKey)(**given)


@dataclass(kw_only=True, slots=True)
class _Reckoned:
    half: int
    whole: int = field(init=False)

    def __post_init__(self) -> None:
        self.whole = 2 * self.half


def test_what_is_reckoned_when_it_is_made_is_reckoned():
    made = maker(_Reckoned)(half=2)
    assert made.whole == 4
    made.whole = 5
    assert made.whole == 5


@dataclass(frozen=True, slots=True)
class _Placed:
    one: int
    other: int = 2
    _: KW_ONLY
    third: int


def test_what_the_class_takes_by_place_is_taken_by_place():
    make = maker(_Placed)
    assert make(1, third=3) == make(one=1, other=2, third=3) == _Placed(1, third=3)
    with pytest.raises(TypeError):
        make(1, 2, 3)


@dataclass(frozen=True, kw_only=True)
class _Slotless:
    one: int


@dataclass(kw_only=True, slots=True)
class _Unset:
    one: int = field(init=False, default=1)


@pytest.mark.parametrize("noun", (_Slotless, _Unset, int, len))
def test_what_it_cannot_make_is_refused(noun):
    with pytest.raises(TypeError, match="make it by its class"):
        maker(noun)
