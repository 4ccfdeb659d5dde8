-- The tables. What must never be is refused here, whatever the code above does: one order a key, one session an order
-- and one order a session; stock never below zero, a reservation for exactly what its order line says.

CREATE TABLE shop.products (
    sku           text PRIMARY KEY CHECK (sku ~ '^[a-z0-9][a-z0-9-]{0,62}$'),
    name          text NOT NULL CHECK (name <> ''),
    description   text NOT NULL DEFAULT '',
    image         text NOT NULL DEFAULT '',
    -- As large as the payment provider takes them in some currency (checkout.money).
    unit_amount   bigint NOT NULL CHECK (unit_amount BETWEEN 1 AND 999999999999),
    currency      text NOT NULL CHECK (currency ~ '^[a-z]{3}$'),
    on_hand       bigint NOT NULL CHECK (on_hand >= 0),
    position      integer NOT NULL DEFAULT 0,
    withdrawn_at  timestamptz
) WITH (fillfactor = 50);  -- on_hand changes all the time: leave room for HOT updates

CREATE TABLE shop.orders (
    id                  text PRIMARY KEY,
    -- Compared byte by byte, so that the index of the unique ones finds their beginnings too.
    checkout_key        text COLLATE "C" NOT NULL UNIQUE CHECK (length(checkout_key) BETWEEN 1 AND 200),
    fingerprint         text NOT NULL CHECK (length(fingerprint) = 64),
    status              text NOT NULL CHECK (status IN ('pending', 'awaiting_payment', 'fulfilled', 'dispatched',
                                                        'rejected', 'cancelled', 'refunded')),
    reason              text,
    missing_skus        text[],
    email               text CHECK (length(email) <= 254),
    client              text,  -- who asked, as a hash: only to cap the open reservations of one client
    amount_total        bigint NOT NULL CHECK (amount_total > 0),
    currency            text NOT NULL CHECK (currency ~ '^[a-z]{3}$'),
    payment_session_id  text UNIQUE,
    payment_url         text,
    simulator_url       text,
    payment_intent_id   text UNIQUE,
    expires_at          timestamptz NOT NULL,
    created_at          timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at          timestamptz NOT NULL DEFAULT clock_timestamp(),
    fulfilled_at        timestamptz,
    dispatch_due_at     timestamptz,
    event_count         integer NOT NULL DEFAULT 0,
    -- As Python's casefold has it: what a database takes for the lower case of a letter depends on its locale.
    email_folded        text,
    CHECK ((payment_session_id IS NULL) = (payment_url IS NULL)),
    CHECK (status NOT IN ('awaiting_payment', 'fulfilled', 'dispatched') OR payment_session_id IS NOT NULL),
    CHECK (status NOT IN ('fulfilled', 'dispatched') OR (fulfilled_at IS NOT NULL AND dispatch_due_at IS NOT NULL)),
    CHECK (status NOT IN ('rejected', 'cancelled', 'refunded') OR reason IS NOT NULL),
    CONSTRAINT orders_email_is_folded CHECK ((email IS NULL) = (email_folded IS NULL)),
    UNIQUE (id, currency)
) WITH (fillfactor = 80);

-- A line keeps what was agreed: the catalogue may change the next minute. Its currency is its order's.
CREATE TABLE shop.order_lines (
    order_id     text NOT NULL,
    sku          text NOT NULL REFERENCES shop.products,
    quantity     integer NOT NULL CHECK (quantity BETWEEN 1 AND 99),
    unit_amount  bigint NOT NULL CHECK (unit_amount > 0),
    name         text NOT NULL,
    currency     text NOT NULL,
    PRIMARY KEY (order_id, sku),
    UNIQUE (order_id, sku, quantity),
    CONSTRAINT order_lines_currency_is_the_orders
        FOREIGN KEY (order_id, currency) REFERENCES shop.orders (id, currency)
);

CREATE TABLE shop.reservations (
    order_id  text NOT NULL,
    sku       text NOT NULL,
    quantity  integer NOT NULL,
    state     text NOT NULL CHECK (state IN ('held', 'consumed', 'released')),
    PRIMARY KEY (order_id, sku),
    FOREIGN KEY (order_id, sku, quantity) REFERENCES shop.order_lines (order_id, sku, quantity)
) WITH (fillfactor = 80);

CREATE TABLE shop.stock_movements (
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    sku       text NOT NULL REFERENCES shop.products,
    delta     bigint NOT NULL CHECK (delta <> 0),
    cause     text NOT NULL,
    order_id  text REFERENCES shop.orders,
    at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    note      text CHECK (length(note) <= 200),
    CHECK ((order_id IS NOT NULL) = (cause IN ('reserve', 'release'))),
    CONSTRAINT stock_movements_cause_check CHECK (
        cause IN ('seed', 'restock', 'release') AND delta > 0 OR cause IN ('reserve', 'write_off') AND delta < 0)
);

CREATE TABLE shop.order_events (
    order_id  text NOT NULL REFERENCES shop.orders,
    seq       integer NOT NULL CHECK (seq > 0),
    kind      text NOT NULL,
    at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    data      jsonb NOT NULL DEFAULT '{}',
    PRIMARY KEY (order_id, seq)
);

-- Sessions of operators that were signed out before their time.
CREATE TABLE shop.ended_sessions (
    id          text PRIMARY KEY CHECK (length(id) BETWEEN 16 AND 64),
    expires_at  timestamptz NOT NULL
);

CREATE INDEX orders_live ON shop.orders (created_at) WHERE status IN ('pending', 'awaiting_payment');
CREATE INDEX orders_live_by_client ON shop.orders (client) WHERE status IN ('pending', 'awaiting_payment');
CREATE INDEX orders_to_dispatch ON shop.orders (dispatch_due_at) WHERE status = 'fulfilled';
CREATE INDEX orders_newest ON shop.orders (created_at DESC, id DESC);
-- Cancelled ones for which money came late and is not given back yet, however many have been cancelled.
CREATE INDEX orders_owing ON shop.orders (updated_at) WHERE status = 'cancelled' AND payment_intent_id IS NOT NULL;
CREATE INDEX orders_by_email ON shop.orders (email_folded) WHERE email_folded IS NOT NULL;
-- Of the other states there are either few, with an index, or nearly all.
CREATE INDEX orders_given_up ON shop.orders (status, created_at DESC, id DESC)
 WHERE status IN ('rejected', 'cancelled', 'refunded');
CREATE INDEX stock_movements_of_order ON shop.stock_movements (order_id) WHERE order_id IS NOT NULL;

-- The catalogue in pages, and a search in it. Neither has a column that a sale changes, so that `on_hand` goes on being
-- updated in place.
CREATE FUNCTION shop.words_of(sku text, name text, description text) RETURNS tsvector
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT to_tsvector('pg_catalog.simple'::regconfig, name || ' ' || sku || ' ' || description)
$$;
CREATE INDEX products_words ON shop.products USING gin (shop.words_of(sku, name, description));
CREATE INDEX products_in_order ON shop.products (position, sku);
