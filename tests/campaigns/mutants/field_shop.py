"""Bugs planted where customers look and where the shop grows: catalogue, storefront, console, audit."""

from tests.campaigns.mutants.anchors import Code, schema
from tests.campaigns.mutants.mutant import bug

FIELD_SHOP = (
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
        "lookers-apart-from-buyers",
        Code("api.app.create_app.lifespan", "Catalogue(browsing)", "Catalogue(engine)"),
        breaks="customers would wait behind all who only look",
        tests="test_who_looks_never_keeps_a_customer_waiting",
    ),
    bug(
        "one-read-for-all-who-ask",
        Code("Shared.get", "before is None", "True"),
        breaks="every tab would read the catalogue for itself",
        tests="test_many_who_ask_at_once_share_a_read_that_began_after_they_asked",
    ),
    bug(
        "picture-guard",
        schema("IF NEW.image !~ '^(/[^/]|https", "IF FALSE AND NEW.image !~ '^(/[^/]|https"),
        breaks="a product could have a picture that every page would silently not show",
        tests="test_a_picture_that_no_page_could_show_is_refused_when_the_product_is_made",
    ),
    bug(
        "expected-price",
        Code("opening.open_order", "_check_expected(stock, request.lines)", "None"),
        breaks="a customer would learn of a new price only where they pay",
        tests="test_another_price_than_was_seen_is_told_and_nothing_is_reserved",
    ),
    bug(
        "expected-currency",
        Code(
            "opening._check_expected",
            "expected[product.sku].expected_currency not in (None, product.currency)",
            "False",
        ),
        breaks="1000 of one currency would be sold as 1000 of another",
        tests="test_another_price_than_was_seen_is_told_and_nothing_is_reserved",
    ),
)
