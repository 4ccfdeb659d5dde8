"""Bugs planted at the entrance: who may ask, how much, with which words; what nobody may read."""

from tests.campaigns.mutants.mutant import mutant

_SCHEMAS = "api/schemas.py"
_CODEC = "runtime/codec.py"

_GUARDS = "tests/integration/test_gateway_guards.py"
_ENTRANCE = "tests/integration/test_entrance_guards.py"
_CODEC_TESTS = "tests/security/test_payload_codec.py"
_IDS = "tests/unit/test_fingerprint_and_ids.py"
_QUANTITY = f"{_ENTRANCE}::test_only_a_whole_number_from_1_to_99_is_a_quantity"
_PRICE = f"{_ENTRANCE}::test_a_cart_with_a_price_of_its_own_or_a_product_twice_or_too_many_is_refused"

ENTRANCE = (
    mutant(
        "operator-token",
        "api/auth.py",
        "    if not is_operator_token(gateway.settings,",
        "    if False and not is_operator_token(gateway.settings,",
        breaks="anybody could refund",
        tests=f"{_GUARDS}::test_only_the_operators_token_opens_the_operators_doors",
    ),
    mutant(
        "body-cap",
        "api/limits.py",
        "MAX_BODY_BYTES = 64 * 1024\n",
        "MAX_BODY_BYTES = 64 * 1024 * 1024\n",
        breaks="one request could fill the memory",
        tests=f"{_GUARDS}::test_a_body_beyond_64_kib_is_not_read",
    ),
    mutant(
        "begun-checkouts-count",
        "api/limits.py",
        "        if held + len(begun.keys) >= self._reservations:",
        "        if held >= self._reservations:",
        breaks="who presses Buy while no worker runs would get everything reserved as soon as one does",
        tests="tests/security/test_caps.py::test_checkouts_that_wait_for_a_worker_count_too",
    ),
    mutant(
        "only-who-was-admitted-is-let-in-again",
        "api/limits.py",
        '            raise _too_many("Too many unpaid',
        '            begun.keys[checkout_key] = time.monotonic()\n            raise _too_many("Too many unpaid',
        breaks="a key sent twice at once would slip through the cap",
        tests="tests/security/test_caps.py::test_a_key_sent_many_times_at_once_does_not_slip_through",
    ),
    mutant(
        "what-has-begun-goes-on-counting",
        "api/limits.py",
        "            if checkout_key not in begun.started:",
        "            if True or checkout_key not in begun.started:",
        breaks="pressing Buy again while Temporal is away would take a waiting checkout out of the count",
        tests="tests/security/test_caps.py::test_a_repeat_that_fails_does_not_uncount_what_waits_for_a_worker",
    ),
    mutant(
        "same-origin",
        "api/middleware/origin.py",
        "            if origin is not None and not self._is_ours(",
        "            if False and not self._is_ours(",
        breaks="any page could make its visitors reserve stock",
        tests=f"{_GUARDS}::test_another_sites_page_cannot_buy",
    ),
    mutant(
        "strict-quantities",
        _SCHEMAS,
        "    quantity: Annotated[StrictInt, Field(ge=1, le=MAX_QUANTITY)]\n",
        "    quantity: Annotated[int, Field(ge=1, le=MAX_QUANTITY)]\n",
        breaks="true, 1.0 and '1' would be quantities",
        tests=_QUANTITY,
    ),
    mutant(
        "quantities-from-one",
        _SCHEMAS,
        "Field(ge=1, le=MAX_QUANTITY)",
        "Field(le=MAX_QUANTITY)",
        breaks="a negative quantity would be money back",
        tests=_QUANTITY,
    ),
    mutant(
        "no-unknown-fields-in-a-line",
        _SCHEMAS,
        'class CartItem(BaseModel):\n    model_config = ConfigDict(extra="forbid")\n',
        "class CartItem(BaseModel):\n",
        breaks="a client that sends a price would believe that it counts",
        tests=_PRICE,
    ),
    mutant(
        "no-unknown-fields-in-a-cart",
        _SCHEMAS,
        'ConfigDict(extra="forbid", json_schema_extra=',
        "ConfigDict(json_schema_extra=",
        breaks="a client that sends a total would believe that it counts",
        tests=_PRICE,
    ),
    mutant(
        "product-once-a-cart",
        _SCHEMAS,
        "            if item.sku in seen:\n",
        "            if False:\n",
        breaks="a product listed twice would be reserved once and paid twice",
        tests=_PRICE,
    ),
    mutant(
        "keys-of-other-workflows",
        "checkout/ids.py",
        "    if text.startswith(_SETTLEMENT_PREFIX):\n",
        "    if False:\n",
        breaks="a customer could choose the key that is a settlement's id",
        tests=(
            f"{_IDS}::test_no_customer_can_choose_a_key_that_is_another_workflows_id",
            f"{_IDS}::test_anything_else_is_no_key",
        ),
    ),
    mutant(
        "key-alphabet",
        "checkout/ids.py",
        'r"[A-Za-z0-9._~:-]{1,200}"',
        'r"[A-Za-z0-9._~:/-]{1,200}"',
        breaks="a customer could choose the id of a dispatch or a refund",
        tests=f"{_IDS}::test_anything_else_is_no_key",
    ),
    mutant(
        "codec-bound-to-its-workflow",
        _CODEC,
        "        if not self._is_for_us(workflow_id):\n",
        "        if False:\n",
        breaks="one order's payload could be moved into another's history",
        tests=f"{_CODEC_TESTS}::test_a_payload_cannot_be_moved_into_another_workflow",
    ),
    mutant(
        "codec-fresh-nonce",
        _CODEC,
        "nonce = os.urandom(_NONCE_BYTES)",
        "nonce = bytes(_NONCE_BYTES)",
        breaks="a repeated nonce gives AES-GCM's key away",
        tests=f"{_CODEC_TESTS}::test_the_same_text_never_looks_the_same_twice",
    ),
    mutant(
        "failpoints-never-in-production",
        "runtime/settings.py",
        'raise ValueError("CHECKOUT_FAILPOINTS must not be set when CHECKOUT_ENV=production: it plants failures")',
        "pass",
        breaks="production could be made to fail by a setting",
        tests="tests/unit/test_failpoints.py::test_production_refuses_to_start_with_failpoints_and_names_the_variable",
    ),
)
