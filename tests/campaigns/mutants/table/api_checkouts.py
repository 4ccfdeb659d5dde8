"""Bugs planted in buying, and what may be done with an order: carts, keys, waiting for the payment page, refunds."""

from tests.campaigns.mutants.anchors import Code
from tests.campaigns.mutants.mutant import Mutant, bug

BUGS: tuple[Mutant, ...] = (
    bug(
        "strict-quantities",
        Code("carts.Quantity", "StrictInt", "int"),
        breaks="true, 1.0 and '1' would be quantities",
        tests="test_only_a_whole_number_from_1_to_99_is_a_quantity",
    ),
    bug(
        "quantities-from-one",
        Code("carts.Quantity", "Field(ge=1, le=MAX_QUANTITY)", "Field(le=MAX_QUANTITY)"),
        breaks="a negative quantity would be money back",
        tests="test_only_a_whole_number_from_1_to_99_is_a_quantity",
    ),
    bug(
        "no-unknown-fields-in-a-line",
        Code("CartItem", "extra='forbid'", ""),
        breaks="a client that sends a price would believe that it counts",
        tests="test_a_cart_with_a_price_of_its_own_or_a_product_twice_or_too_many_is_refused",
    ),
    bug(
        "no-unknown-fields-in-a-cart",
        Code("CheckoutRequest", "extra='forbid'", ""),
        breaks="a client that sends a total would believe that it counts",
        tests="test_a_cart_with_a_price_of_its_own_or_a_product_twice_or_too_many_is_refused",
    ),
    bug(
        "product-once-a-cart",
        Code("_each_sku_once", "item.sku in seen", "False"),
        breaks="a product listed twice would be reserved once and paid twice",
        tests="test_a_cart_with_a_price_of_its_own_or_a_product_twice_or_too_many_is_refused",
    ),
    bug(
        "form-fields-bounded",
        Code(
            "carts.parse_form",
            "parse_qs(body.decode(), keep_blank_values=True, strict_parsing=bool(body), errors='strict')",
            "parse_qs(body.decode(), keep_blank_values=True, strict_parsing=bool(body), errors='strict',"
            " max_num_fields=200)",
        ),
        breaks="nobody without script could buy from a long form",
        tests="test_a_form_may_have_any_number_of_fields_that_its_bytes_allow",
    ),
    bug(
        "another-cart-is-refused-at-once",
        Code("Checkouts._without_session", "await self._check_begun(handle, wish)", ""),
        breaks="while no worker runs, whoever reuses a key for another cart would be told that it has begun",
        tests="test_another_cart_under_a_key_is_refused_also_before_any_worker_has_looked",
    ),
    bug(
        "no-checkout-begins-without-room",
        Code(
            "Checkouts._begin",
            "await self._cart.before(wish.lines)\nself._writing.check()",
            "await self._cart.before(wish.lines)",
        ),
        breaks="while nothing can be written, each Buy would leave a checkout that holds stock later",
        tests="test_with_the_disk_full_nobody_can_buy_and_nothing_is_held_and_afterwards_all_goes_on",
    ),
    bug(
        "an-outage-is-not-called-progress",
        Code("Checkouts._without_session", "if answered is None: ...", ""),
        breaks="who buys in the moment the disk is full would be told to wait for nothing",
        tests="test_with_the_disk_full_nobody_can_buy_and_nothing_is_held_and_afterwards_all_goes_on",
    ),
    bug(
        "key-of-one-cart",
        Code("checkouts._same_cart", "stored != wish.fingerprint", "False"),
        breaks="another cart would get the first one's payment page",
        tests="test_a_key_answers_only_to_its_own_cart_while_it_runs_and_afterwards",
    ),
    bug(
        "joined-run-has-its-cart",
        Code("Checkouts.buy", "_same_cart(view.fingerprint, wish)", ""),
        breaks="of two carts at once under one key, the second would pay for the first",
        tests="test_of_two_carts_at_once_under_a_new_key_one_is_refused",
    ),
    bug(
        "database-is-asked-first",
        Code("Checkouts.buy", "None if is_new_key else await self._find(key)", "None"),
        breaks="a key that Temporal forgot would start another checkout",
        tests="test_a_key_that_temporal_forgot_is_answered_from_the_database_and_starts_nothing",
    ),
    bug(
        "replay-is-marked",
        Code("Checkouts.buy", "view.request_id != wish.request_id", "False"),
        breaks="a client could not tell a repeat from a first answer",
        tests="test_of_many_clicks_all_get_one_answer_and_only_one_was_first",
    ),
    bug(
        "refund-key-is-of-one-wish",
        Code("Orders.refund", "await self._check_wish(wanted)", ""),
        breaks="who sends another refund under a key at work would be told that it was made",
        tests="test_a_key_stands_for_one_refund_also_while_it_is_being_made",
    ),
    bug(
        "part-of-a-refund-needs-a-key",
        Code("refund_wish", "key is None and (asked.amount is not None or asked.lines is not None)", "False"),
        breaks="a second part that an operator gives back would be taken for a repeat of the first",
        tests="test_a_part_needs_a_key_for_a_second_one_could_not_be_told_from_a_repeat",
    ),
    bug(
        "goods-stay-away-when-told-so",
        Code("refund_wish", "asked.restock", "None"),
        breaks="broken goods would be sold again",
        tests="test_lines_are_passed_on_as_they_were_named",
    ),
    bug(
        "cancel-without-a-workflow",
        Code("Orders.ask_to_cancel", "await signal(...)", "True"),
        breaks="a customer could not cancel an orphaned order",
        tests="test_cancelling_an_order_that_lost_its_workflow_closes_the_session_first",
    ),
    bug(
        "evidence-is-the-operators",
        Code("order_views.order_out", "OrderOut.model_validate", "OperatorOrder.model_validate"),
        breaks="a customer could read why and until when their bank is answered",
        tests="test_a_customer_is_told_less_of_a_dispute_and_of_refusals_than_an_operator",
    ),
    bug(
        "debts-are-told",
        Code("order_views._payment", "kept > 0 and not status.is_kept", "False"),
        breaks="a customer whose money came late would read that nothing was charged",
        tests="test_money_that_is_owed_is_told_to_customer_and_operator",
    ),
    bug(
        "a-refusal-reaches-the-buyer",
        Code("CartCheck.after", "refusal.type not in REFUSALS", "True"),
        breaks="whoever has a cart that only the database can refuse would be told to wait, for ever",
        tests="test_a_buyer_is_told_of_a_currency_that_changed_after_the_gateway_had_seen_the_product",
    ),
    bug(
        "what-cannot-be-paid-is-told-to-its-buyer",
        Code("catalogue.REFUSALS", "(*WrongCart.__subclasses__(), UnstorableData)", "(UnstorableData,)"),
        breaks="a buyer whose cart is too small would be told to wait",
        tests="test_a_buyer_is_told_for_good_which_limit_the_cart_is_beyond",
    ),
    bug(
        "products-exist",
        Code("CartCheck.before", "if unknown: ...", ""),
        breaks="a cart of nonsense would start a workflow",
        tests="test_a_product_that_does_not_exist_is_refused_before_a_workflow_starts",
    ),
)
