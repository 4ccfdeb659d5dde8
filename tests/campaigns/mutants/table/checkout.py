"""Bugs planted in what the checkout is: what a provider's word means, ids, money, orders."""

from tests.campaigns.mutants.anchors import Code
from tests.campaigns.mutants.mutant import Mutant, bug

BUGS: tuple[Mutant, ...] = (
    bug(
        "sweep-knows-settlements-by-order",
        Code("ids.workflow_ids_of_order", "[session_id, order_id]", "[session_id]"),
        breaks="an order would get a second settlement once the first has recorded its session",
        tests="test_an_order_whose_settlement_began_before_it_had_a_session_gets_no_second_one",
    ),
    bug(
        "keys-of-other-workflows",
        Code("parse_checkout_key", "text.startswith(_SETTLEMENT_PREFIX)", "False"),
        breaks="a customer could choose the key that is a settlement's id",
        tests=(
            "test_no_customer_can_choose_a_key_that_is_another_workflows_id",
            "test_anything_else_is_no_key",
        ),
    ),
    bug(
        "key-alphabet",
        Code("checkout.ids._KEY", "'[A-Za-z0-9._~:-]{1,200}'", "'[A-Za-z0-9._~:/-]{1,200}'"),
        breaks="a customer could choose the id of a dispatch or a refund",
        tests="test_anything_else_is_no_key",
    ),
    bug(
        "charged-in-whole-units",
        Code("checkout.money", "_row(code, 2, 0, 100)", "_row(code, 0, 0, 1)"),
        breaks="5,000 Uganda shillings would be shown as 500,000",
        tests="test_money_is_shown_as_it_is_charged",
    ),
    bug(
        "fingerprint-counts-quantities",
        Code("cart_fingerprint", "[line.sku, line.quantity]", "[line.sku]"),
        breaks="two pens would be the same cart as one",
        tests="test_another_quantity_product_or_email_makes_another_cart",
    ),
    bug(
        "no-clock-in-a-value",
        Code("Order.deadline", "self.processing_until or self.expires_at", "self.processing_until or datetime.now()"),
        breaks="a checkout that moves to another worker would have another deadline",
        tests="test_values_that_pass_through_are_values",
    ),
    bug(
        "given-up-and-taken-all-the-same",
        Code("Refund.may_become", "self.was_never_taken", "False"),
        breaks="money that went back would be the shop's in its ledger, and could be given back again",
        tests="test_a_refund_that_was_given_up_and_had_been_taken_all_the_same_counts",
    ),
    bug(
        "settlement-gives-late-money-back",
        Code("settling._unwanted", "session.paid and session.payment_intent_id is not None", "False"),
        breaks="money after the cancel would be kept",
        tests="test_money_after_the_cancel_is_given_back_once_however_often_it_is_told",
    ),
    bug(
        "settlement-keeps-what-was-fulfilled",
        Code(
            "settling.is_sale_over",
            "order.status.is_kept or order.status is OrderStatus.REFUNDED",
            "order.status is OrderStatus.REFUNDED",
        ),
        breaks="a redelivered event would refund a fulfilled order",
        tests="test_what_follows_from_the_providers_word",
    ),
    bug(
        "settled-means-fulfilled",
        Code("settling.is_no_news", "order.status.is_kept", "not order.status.is_live"),
        breaks="late money would be kept",
        tests="test_an_event_of_a_closed_checkout_has_its_money_given_back",
    ),
    bug(
        "expired-is-the-providers-word",
        Code(
            "settling.decide",
            "Close(session.session_id) if closing else Wait()",
            "Release(closing) if closing else Wait()",
        ),
        breaks="stock would go back for a session that can still be paid",
        tests="test_what_follows_from_the_providers_word",
    ),
    bug(
        "provider-decides-not-the-event",
        Code("settling.decide", "session.paid", "session.paid or closing is None"),
        breaks="any event would fulfil",
        tests="test_what_follows_from_the_providers_word",
    ),
    bug(
        "complete-is-not-paid",
        Code("settling.decide", "session.paid", "session.status is SessionStatus.COMPLETE"),
        breaks="an unpaid order would ship",
        tests="test_what_follows_from_the_providers_word",
    ),
    bug(
        "amount-compared",
        Code("settling._is_as_agreed", "session.amount_total", "order.amount_total"),
        breaks="a cent would buy anything",
        tests="test_a_payment_that_is_not_the_one_agreed_is_given_back",
    ),
    bug(
        "currency-compared",
        Code("settling._is_as_agreed", "session.currency", "order.currency"),
        breaks="1000 yen would pay for 10 dollars",
        tests="test_a_payment_that_is_not_the_one_agreed_is_given_back",
    ),
    bug(
        "order-compared",
        Code("settling._is_as_agreed", "session.order_id", "order.order_id"),
        breaks="another order's payment would fulfil this one",
        tests="test_a_payment_that_is_not_the_one_agreed_is_given_back",
    ),
    bug(
        "late-money-goes-back",
        Code("settling.decide", "if not order.status.is_live: ...", "pass"),
        Code("actions.fulfil", "settling.decide(fulfilled, session)", "None"),
        breaks="a payment for an order that another hand cancelled would be kept",
        tests="test_a_payment_of_an_order_that_another_hand_cancelled_is_given_back",
    ),
    bug(
        "refusal-keeps-the-stock",
        Code(
            "settling.decide",
            "Wait() if order is not None and order.status.is_live else Nothing()",
            "Release(Reason.OPERATOR)",
        ),
        breaks="a wrong API key would cancel orders that were paid",
        tests="test_what_follows_from_the_providers_word",
    ),
    bug(
        "nobody-gives-up-what-a-bank-pays",
        Code("_under_way", "closing not in (None, Reason.TIMEOUT)", "False"),
        breaks="a customer who gives up would have the stock sold again, and pay for it all the same",
        tests=("test_nobody_can_give_up_what_a_bank_is_paying", "test_what_follows_from_the_providers_word"),
    ),
)
