-- Payments that take days, and the money after the sale.
--
-- `payments.look_at` is when somebody has to ask the provider again, should no event tell; NULL: nothing stands open.
-- `check_at`: when it is asked all the same, a few times in the payment's first months (`next_check`).
--
-- Payments, refunds and debts from before are entered as far as they are known; what the provider called their refunds
-- is found out when they are next looked at.

ALTER TABLE shop.orders ADD COLUMN processing_until timestamptz, ADD COLUMN on_hold boolean NOT NULL DEFAULT false;

ALTER TABLE shop.orders
    DROP CONSTRAINT orders_status_check,
    ADD CONSTRAINT orders_status_check CHECK (status IN ('pending', 'awaiting_payment', 'payment_processing',
        'fulfilled', 'dispatched', 'rejected', 'cancelled', 'refunded')),
    ADD CONSTRAINT orders_processing_check CHECK (
        status <> 'payment_processing' OR payment_session_id IS NOT NULL AND processing_until IS NOT NULL);

DROP INDEX shop.orders_live, shop.orders_live_by_client, shop.orders_to_dispatch, shop.orders_owing;

CREATE INDEX orders_live ON shop.orders (created_at)
 WHERE status IN ('pending', 'awaiting_payment', 'payment_processing');

CREATE INDEX orders_live_by_client ON shop.orders (client)
 WHERE status IN ('pending', 'awaiting_payment', 'payment_processing');

CREATE INDEX orders_to_dispatch ON shop.orders (dispatch_due_at) WHERE status = 'fulfilled' AND NOT on_hold;

ALTER TABLE shop.stock_movements
    DROP CONSTRAINT stock_movements_cause_check,
    ADD CONSTRAINT stock_movements_cause_check CHECK (
        cause IN ('seed', 'restock', 'release', 'return') AND delta > 0
        OR cause IN ('reserve', 'write_off') AND delta < 0),
    DROP CONSTRAINT stock_movements_check,
    ADD CONSTRAINT stock_movements_check CHECK (
        (order_id IS NOT NULL) = (cause IN ('reserve', 'release', 'return')));

CREATE TABLE shop.payments (
    payment_intent_id  text PRIMARY KEY CHECK (length(payment_intent_id) BETWEEN 1 AND 255),
    order_id           text UNIQUE REFERENCES shop.orders,  -- NULL: it belongs to no order, and is given back
    amount             bigint NOT NULL CHECK (amount > 0),
    currency           text NOT NULL CHECK (currency ~ '^[a-z]{3}$'),
    state              text NOT NULL CHECK (state IN ('processing', 'paid', 'failed')),
    at                 timestamptz NOT NULL DEFAULT clock_timestamp(),
    version            bigint NOT NULL DEFAULT 1,
    look_at            timestamptz,
    looks              integer NOT NULL DEFAULT 0,
    check_at           timestamptz DEFAULT clock_timestamp() + interval '7 days',
    UNIQUE (payment_intent_id, order_id)
) WITH (fillfactor = 80);

CREATE INDEX payments_to_look_at ON shop.payments (look_at) WHERE look_at IS NOT NULL;

CREATE INDEX payments_to_check ON shop.payments (check_at) WHERE check_at IS NOT NULL;

-- When the provider is asked about a payment of which nothing stands open, should every event of a refund made there, or
-- of a dispute, have been lost: after a week (Stripe sends an event again for three days), a month, and four (banks take
-- most disputes for 120 days). NULL: never again.
CREATE FUNCTION shop.next_check(paid_at timestamptz) RETURNS timestamptz
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    SELECT min(paid_at + pause) FROM unnest(ARRAY[interval '7 days', '30 days', '120 days']) AS pause
     WHERE paid_at + pause > clock_timestamp()
$$;

CREATE TABLE shop.refunds (
    id                  text PRIMARY KEY,
    payment_intent_id   text NOT NULL REFERENCES shop.payments,
    order_id            text,
    provider_refund_id  text UNIQUE CHECK (length(provider_refund_id) BETWEEN 1 AND 255),
    amount              bigint NOT NULL CHECK (amount > 0),
    state               text NOT NULL CHECK (state IN ('pending', 'succeeded', 'failed', 'cancelled')),
    requested_by        text NOT NULL CHECK (requested_by IN ('shop', 'operator', 'provider')),
    reason              text CHECK (length(reason) <= 200),
    request_key         text CHECK (length(request_key) BETWEEN 1 AND 200),
    request             text CHECK (length(request) = 64),  -- SHA-256 of what was asked for under the key
    attempt             integer NOT NULL DEFAULT 1 CHECK (attempt > 0),
    requires_action     boolean NOT NULL DEFAULT false,
    failure_reason      text CHECK (length(failure_reason) <= 500),
    at                  timestamptz NOT NULL DEFAULT clock_timestamp(),
    changed_at          timestamptz NOT NULL DEFAULT clock_timestamp(),
    FOREIGN KEY (payment_intent_id, order_id) REFERENCES shop.payments (payment_intent_id, order_id),
    UNIQUE (payment_intent_id, request_key, attempt),
    CHECK ((requested_by = 'provider') = (request_key IS NULL)),
    CHECK (requested_by <> 'provider' OR provider_refund_id IS NOT NULL)
);

CREATE INDEX refunds_of_order ON shop.refunds (order_id) WHERE order_id IS NOT NULL;

CREATE INDEX refunds_open ON shop.refunds (at) WHERE state = 'pending';

CREATE TABLE shop.refund_lines (
    refund_id  text NOT NULL REFERENCES shop.refunds,
    sku        text NOT NULL REFERENCES shop.products,
    quantity   integer NOT NULL CHECK (quantity > 0),
    restock    boolean NOT NULL,
    restocked  boolean NOT NULL DEFAULT false CHECK (restock OR NOT restocked),
    PRIMARY KEY (refund_id, sku)
);

CREATE TABLE shop.disputes (
    id                 text PRIMARY KEY CHECK (length(id) BETWEEN 1 AND 255),
    payment_intent_id  text NOT NULL REFERENCES shop.payments,
    order_id           text,
    amount             bigint NOT NULL CHECK (amount > 0),
    state              text NOT NULL CHECK (state ~ '^[a-z_]{1,40}$'),
    reason             text NOT NULL CHECK (length(reason) <= 200),
    evidence_due_by    timestamptz,
    at                 timestamptz NOT NULL DEFAULT clock_timestamp(),
    changed_at         timestamptz NOT NULL DEFAULT clock_timestamp(),
    FOREIGN KEY (payment_intent_id, order_id) REFERENCES shop.payments (payment_intent_id, order_id)
);

CREATE INDEX disputes_of_order ON shop.disputes (order_id) WHERE order_id IS NOT NULL;

CREATE INDEX disputes_of_payment ON shop.disputes (payment_intent_id);

CREATE INDEX disputes_open ON shop.disputes (at)
 WHERE state NOT IN ('won', 'lost', 'warning_closed', 'prevented');

-- What is known of before. A payment that is still to be given back is looked at soon.

INSERT INTO shop.payments (payment_intent_id, order_id, amount, currency, state, at, look_at, check_at)
SELECT payment_intent_id, id, amount_total, currency, 'paid', coalesce(fulfilled_at, updated_at),
       CASE WHEN status = 'cancelled' THEN clock_timestamp() END, shop.next_check(coalesce(fulfilled_at, updated_at))
  FROM shop.orders WHERE payment_intent_id IS NOT NULL;

INSERT INTO shop.refunds (id, payment_intent_id, order_id, amount, state, requested_by, reason, request_key, at)
SELECT 'rfd_' || md5(id || '/before'), payment_intent_id, id, amount_total,
       CASE status WHEN 'refunded' THEN 'succeeded' ELSE 'pending' END, 'shop', coalesce(reason, 'late_payment'),
       '/before', updated_at
  FROM shop.orders WHERE payment_intent_id IS NOT NULL AND status IN ('refunded', 'cancelled');
