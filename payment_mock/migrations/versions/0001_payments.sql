-- The payment service's tables. Wrong states are made impossible here, not in Python.

CREATE TABLE payments.sessions (
    id text PRIMARY KEY,
    seq bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    status text NOT NULL DEFAULT 'open' CHECK (status IN ('open', 'complete', 'expired')),
    payment_status text NOT NULL DEFAULT 'unpaid' CHECK (payment_status IN ('unpaid', 'paid')),
    amount_total bigint NOT NULL CHECK (amount_total BETWEEN 0 AND 99999999),
    amount_refunded bigint NOT NULL DEFAULT 0,
    currency text NOT NULL CHECK (currency ~ '^[a-z]{3}$'),
    line_items jsonb NOT NULL,
    client_reference_id text CHECK (length(client_reference_id) <= 200),
    metadata jsonb NOT NULL DEFAULT '{}',
    payment_intent_metadata jsonb NOT NULL DEFAULT '{}',
    customer_email text,
    payment_method_types text[] NOT NULL DEFAULT '{card}',
    success_url text NOT NULL,
    cancel_url text,
    webhook_url text,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    payment_intent text UNIQUE,
    charge text UNIQUE,
    decline_code text,
    paid_at timestamptz,
    closed_at timestamptz,
    CONSTRAINT only_a_complete_session_is_paid CHECK (payment_status = 'unpaid' OR status = 'complete'),
    CONSTRAINT paid_means_charged CHECK ((payment_status = 'paid') = (charge IS NOT NULL)),
    CONSTRAINT closed_unless_open CHECK ((status = 'open') = (closed_at IS NULL)),
    CONSTRAINT refunds_within_the_charge CHECK (
        amount_refunded BETWEEN 0 AND CASE payment_status WHEN 'paid' THEN amount_total ELSE 0 END)
);

CREATE INDEX sessions_due ON payments.sessions (expires_at) WHERE status = 'open';

CREATE INDEX sessions_order ON payments.sessions ((metadata->>'order_id'));

CREATE TABLE payments.ledger (
    id text PRIMARY KEY,
    session_id text NOT NULL REFERENCES payments.sessions,
    kind text NOT NULL CHECK (kind IN ('charge', 'refund')),
    amount bigint NOT NULL CHECK (amount > 0),
    currency text NOT NULL,
    at timestamptz NOT NULL DEFAULT now()
);

CREATE UNIQUE INDEX one_charge_per_session ON payments.ledger (session_id) WHERE kind = 'charge';

CREATE INDEX ledger_session ON payments.ledger (session_id) WHERE kind = 'refund';

CREATE TABLE payments.refunds (
    id text PRIMARY KEY REFERENCES payments.ledger,
    seq bigint GENERATED ALWAYS AS IDENTITY,
    session_id text NOT NULL REFERENCES payments.sessions,
    amount bigint NOT NULL CHECK (amount > 0),
    reason text CHECK (reason IN ('duplicate', 'fraudulent', 'requested_by_customer')),
    metadata jsonb NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX refunds_session ON payments.refunds (session_id);

-- The ledger checks itself: no refund beyond its charge, whoever writes it.
CREATE FUNCTION payments.refunds_within_charge() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM 1 FROM payments.sessions WHERE id = NEW.session_id FOR UPDATE;
    IF (SELECT coalesce(sum(CASE kind WHEN 'charge' THEN amount ELSE -amount END), 0)
        FROM payments.ledger WHERE session_id = NEW.session_id) < 0 THEN
        RAISE EXCEPTION 'refunds of session % exceed its charge', NEW.session_id USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER refunds_within_charge AFTER INSERT ON payments.ledger
    FOR EACH ROW WHEN (NEW.kind = 'refund') EXECUTE FUNCTION payments.refunds_within_charge();

CREATE FUNCTION payments.ledger_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the ledger is append-only';
END $$;

CREATE TRIGGER ledger_is_append_only BEFORE UPDATE OR DELETE ON payments.ledger
    FOR EACH ROW EXECUTE FUNCTION payments.ledger_is_append_only();

CREATE TABLE payments.events (
    id text PRIMARY KEY,
    seq bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    type text NOT NULL,
    session_id text REFERENCES payments.sessions,
    payload text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX events_session ON payments.events (session_id);

CREATE TABLE payments.deliveries (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event_id text NOT NULL REFERENCES payments.events,
    url text,
    status text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'delivered', 'lost')),
    attempts integer NOT NULL DEFAULT 0,
    next_attempt_at timestamptz NOT NULL,
    last_status integer,
    last_error text,
    created_at timestamptz NOT NULL DEFAULT now(),
    delivered_at timestamptz
);

COMMENT ON COLUMN payments.deliveries.url IS 'a session''s own webhook; NULL: the configured endpoint';

COMMENT ON COLUMN payments.deliveries.next_attempt_at IS 'also the lease of whoever attempts it now';

CREATE INDEX deliveries_due ON payments.deliveries (next_attempt_at) WHERE status = 'pending';

CREATE INDEX deliveries_event ON payments.deliveries (event_id);

CREATE TABLE payments.idempotency_keys (
    key text PRIMARY KEY CHECK (length(key) BETWEEN 1 AND 255),
    endpoint text NOT NULL,
    fingerprint text NOT NULL,
    status smallint,
    body bytea,
    request_id text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CHECK ((status IS NULL) = (body IS NULL))
);

CREATE INDEX idempotency_keys_age ON payments.idempotency_keys (created_at);

-- A key without its answer may exist inside a transaction, never after it: nothing can stay "in flight".
CREATE FUNCTION payments.key_has_answer() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM payments.idempotency_keys WHERE key = NEW.key AND status IS NULL) THEN
        RAISE EXCEPTION 'idempotency key % committed without an answer', NEW.key;
    END IF;
    RETURN NULL;
END $$;

CREATE CONSTRAINT TRIGGER key_has_answer AFTER INSERT ON payments.idempotency_keys
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.status IS NULL)
    EXECUTE FUNCTION payments.key_has_answer();

CREATE TABLE payments.faults (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    point text NOT NULL,
    action text NOT NULL,
    times integer CHECK (times > 0),
    fired bigint NOT NULL DEFAULT 0,
    delay_seconds double precision NOT NULL DEFAULT 0 CHECK (delay_seconds BETWEEN -3600 AND 86400),
    status integer,
    copies integer,
    match jsonb NOT NULL DEFAULT '{}',
    set jsonb NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now()
);

-- Processes cache the rules and compare this number to learn of a change.
CREATE SEQUENCE payments.faults_version;
