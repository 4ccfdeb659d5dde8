"""Bugs planted at the entrance: who may ask, how much, with which words; what nobody may read."""

from tests.campaigns.mutants.anchors import Code
from tests.campaigns.mutants.mutant import bug

ENTRANCE = (
    bug(
        "operator-token",
        Code("Operators.admit", "hmac.compare_digest(...)", "True"),
        breaks="anybody could refund",
        tests="test_only_the_operators_token_opens_the_operators_doors",
    ),
    bug(
        "body-cap",
        Code("MAX_BODY_BYTES", "64 * 1024", "64 * 1024 * 1024"),
        breaks="one request could fill the memory",
        tests="test_a_body_beyond_64_kib_is_not_read",
    ),
    bug(
        "begun-checkouts-count",
        Code("Limits._admit", "held + len(begun.keys)", "held"),
        breaks="who presses Buy while no worker runs would get everything reserved as soon as one does",
        tests="test_checkouts_that_wait_for_a_worker_count_too",
    ),
    bug(
        "only-who-was-admitted-is-let-in-again",
        Code(
            "Limits._admit", "raise too_many(...)", "begun.keys[checkout_key] = time.monotonic()\nraise too_many(...)"
        ),
        breaks="a key sent twice at once would slip through the cap",
        tests="test_a_key_sent_many_times_at_once_does_not_slip_through",
    ),
    bug(
        "what-has-begun-goes-on-counting",
        Code("Limits.admitted", "admitted_at is not None and begun.keys.get(checkout_key) == admitted_at", "True"),
        breaks="pressing Buy again while Temporal is away would take a waiting checkout out of the count",
        tests="test_a_repeat_that_fails_does_not_uncount_what_waits_for_a_worker",
    ),
    bug(
        "what-a-repeat-has-begun-counts",
        Code("Limits.admitted", "begun.keys.get(checkout_key) == admitted_at", "True"),
        breaks="a double click whose first request fails would take a waiting checkout out of the count",
        tests="test_a_first_request_that_fails_does_not_uncount_what_its_repeat_has_begun",
    ),
    bug(
        "same-origin",
        Code("Entrance._is_ours", "origin is not None and origin in (self.public, named)", "True"),
        breaks="any page could make its visitors reserve stock",
        tests="test_another_sites_page_cannot_buy",
    ),
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
        "codec-bound-to-its-workflow",
        Code("EncryptingCodec.decrypt", "not self._is_for_us(workflow_id)", "False"),
        breaks="one order's payload could be moved into another's history",
        tests="test_a_payload_cannot_be_moved_into_another_workflow",
    ),
    bug(
        "codec-fresh-nonce",
        Code("EncryptingCodec.encrypt", "os.urandom", "bytes"),
        breaks="a repeated nonce gives AES-GCM's key away",
        tests="test_the_same_text_never_looks_the_same_twice",
    ),
    bug(
        "failpoints-never-in-production",
        Code("_refuse_development_values", "self.failpoints is not None", "False"),
        breaks="production could be made to fail by a setting",
        tests="test_production_refuses_to_start_with_failpoints_and_names_the_variable",
    ),
)
