"""Bugs planted in the gateway: keys, replays, its webhook, and what operators ask for."""

from tests.mutants.mutant import mutant

_CHECKOUTS = "api/checkouts.py"
_WEBHOOKS = "api/webhooks.py"

_GUARDS = "tests/integration/test_gateway_guards.py"
_ENTRANCE = "tests/integration/test_entrance_guards.py"
_IDS = "tests/unit/test_fingerprint_and_ids.py"
_AGE = f"{_ENTRANCE}::test_a_signature_too_old_or_of_the_future_is_refused"

GATEWAY = (
    mutant(
        "key-of-one-cart",
        _CHECKOUTS,
        "    if stored != given:\n",
        "    if False:\n",
        breaks="another cart would get the first one's payment page",
        tests=f"{_GUARDS}::test_a_key_answers_only_to_its_own_cart_while_it_runs_and_afterwards",
    ),
    mutant(
        "fingerprint-counts-quantities",
        "checkout/fingerprint.py",
        "sorted([line.sku, line.quantity] for line in lines)",
        "sorted([line.sku] for line in lines)",
        breaks="two pens would be the same cart as one",
        tests=f"{_IDS}::test_another_quantity_product_or_email_makes_another_cart",
    ),
    mutant(
        "joined-run-has-its-cart",
        _CHECKOUTS,
        "        _same_cart(view.fingerprint, fingerprint)\n",
        "",
        breaks="of two carts at once under one key, the second would pay for the first",
        tests=f"{_GUARDS}::test_of_two_carts_at_once_under_a_new_key_one_is_refused",
    ),
    mutant(
        "database-is-asked-first",
        _CHECKOUTS,
        "existing = None if is_new_key else await self._find(buy.checkout_key)",
        "existing = None",
        breaks="a key that Temporal forgot would start another checkout",
        tests=f"{_GUARDS}::test_a_key_that_temporal_forgot_is_answered_from_the_database_and_starts_nothing",
    ),
    mutant(
        "running-checkout-is-joined",
        _CHECKOUTS,
        "id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING",
        "id_conflict_policy=WorkflowIDConflictPolicy.FAIL",
        breaks="the second click would get an error",
        tests=f"{_GUARDS}::test_of_many_clicks_all_get_one_answer_and_only_one_was_first",
    ),
    mutant(
        "running-checkout-is-not-replaced",
        _CHECKOUTS,
        "id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING",
        "id_conflict_policy=WorkflowIDConflictPolicy.TERMINATE_EXISTING",
        breaks="the second click would terminate the first one's checkout",
        tests=f"{_GUARDS}::test_of_many_clicks_all_get_one_answer_and_only_one_was_first",
    ),
    mutant(
        "ended-checkout-is-not-rerun",
        _CHECKOUTS,
        "self._start_workflow(checkout, WorkflowIDReusePolicy.REJECT_DUPLICATE)",
        "self._start_workflow(checkout, WorkflowIDReusePolicy.ALLOW_DUPLICATE)",
        breaks="a key whose checkout has just ended would run again",
        tests=f"{_GUARDS}::test_a_checkout_that_ended_between_look_and_start_is_not_run_again",
    ),
    mutant(
        "replay-is-marked",
        _CHECKOUTS,
        "is_replay=view.request_id != request_id",
        "is_replay=False",
        breaks="a client could not tell a repeat from a first answer",
        tests=f"{_GUARDS}::test_of_many_clicks_all_get_one_answer_and_only_one_was_first",
    ),
    mutant(
        "products-exist",
        _CHECKOUTS,
        "        if errors:\n            raise invalid(errors)\n",
        "",
        breaks="a cart of nonsense would start a workflow",
        tests=f"{_GUARDS}::test_a_product_that_does_not_exist_is_refused_before_a_workflow_starts",
    ),
    mutant(
        "webhook-signature",
        _WEBHOOKS,
        '        raise Problem(400, "bad-signature", "The signature does not verify")\n',
        "        pass\n",
        breaks="anybody could send events",
        tests=f"{_ENTRANCE}::test_a_signature_that_does_not_verify_is_refused",
    ),
    mutant(
        "webhook-rotation",
        _WEBHOOKS,
        "    for secret in secrets:\n",
        "    for secret in secrets[:1]:\n",
        breaks="during a rotation genuine events would be refused",
        tests=f"{_ENTRANCE}::test_a_signature_of_either_secret_in_rotation_is_taken",
    ),
    mutant(
        "webhook-not-stale",
        _WEBHOOKS,
        "verify_header(payload.decode(), header, secret, TOLERANCE)",
        "verify_header(payload.decode(), header, secret, None)",
        breaks="a recorded event could be replayed for ever",
        tests=_AGE,
    ),
    mutant(
        "webhook-not-of-the-future",
        _WEBHOOKS,
        "    if _timestamp(header) > time.time() + TOLERANCE:\n",
        "    if False:\n",
        breaks="a recorded event could be kept for later",
        tests=_AGE,
    ),
    mutant(
        "webhook-503-while-temporal-is-away",
        _WEBHOOKS,
        "        if error.status is RPCStatusCode.NOT_FOUND:\n            return False\n        raise\n",
        "        return error.status is not RPCStatusCode.NOT_FOUND\n",
        breaks="an event would be answered 200 and lost",
        tests=f"{_GUARDS}::test_an_event_that_temporal_does_not_take_is_an_error_so_that_it_is_sent_again",
    ),
    mutant(
        "webhook-503-at-first-contact",
        "api/problems.py",
        '        if not str(error).startswith("Failed client connect"):\n            raise error\n',
        "        raise error\n",
        breaks="a gateway that starts while Temporal is away would answer 500",
        tests=f"{_GUARDS}::test_an_event_while_temporal_is_away_is_503_so_that_it_is_sent_again",
    ),
    mutant(
        "webhook-settles-what-is-closed",
        _WEBHOOKS,
        "        if error.status is RPCStatusCode.NOT_FOUND:\n            return False\n",
        "        if error.status is RPCStatusCode.NOT_FOUND:\n            return True\n",
        breaks="late money would be kept",
        tests=f"{_GUARDS}::test_an_event_of_a_closed_checkout_has_its_money_given_back",
    ),
    mutant(
        "settled-means-fulfilled",
        _WEBHOOKS,
        "    return order.status.is_kept\n",
        "    return not order.status.is_live\n",
        breaks="late money would be kept",
        tests=f"{_GUARDS}::test_an_event_of_a_closed_checkout_has_its_money_given_back",
    ),
    mutant(
        "redelivery-starts-nothing",
        _WEBHOOKS,
        "    if await _is_settled(event, engine):\n        return\n",
        "",
        breaks="each redelivered event would cost a workflow",
        tests=f"{_GUARDS}::test_an_event_told_again_for_a_fulfilled_order_starts_nothing",
    ),
    mutant(
        "cancel-without-a-workflow",
        "api/routes/orders.py",
        "        if error.status is not RPCStatusCode.NOT_FOUND:\n            raise\n",
        "        if True:\n            raise\n",
        breaks="a customer could not cancel an orphaned order",
        tests=f"{_GUARDS}::test_cancelling_an_order_that_lost_its_workflow_closes_the_session_first",
    ),
    mutant(
        "refund-of-a-live-order-waits",
        _WEBHOOKS,
        "    if order.status.is_live:\n        # Its checkout",
        "    if False:\n        # Its checkout",
        breaks="an order refunded while its checkout decides would be fulfilled, its money gone",
        tests=f"{_GUARDS}::test_money_given_back_in_the_providers_dashboard_ends_the_order_as_refunded",
    ),
)
