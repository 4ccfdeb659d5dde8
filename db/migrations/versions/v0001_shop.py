"""The shop: catalogue, orders, reservations, the stock ledger and the timeline.

The constraints are the design: what must never be is refused here, whatever the code above does.

- one order a key (`orders.checkout_key`), one session an order and one order a session;
- stock never below zero, a reservation for exactly what its order line says;
- an order moves only forward (`guard_order`), a reservation only held → consumed | released, and consumed →
  released; released is a tombstone: nothing leaves it (`guard_reservation`);
- at COMMIT an order and its reservations agree (`check_reservations`, deferred): live orders hold, fulfilled and
  dispatched ones have consumed, all others have nothing.
"""

from alembic import op

revision = "0001"
down_revision = None

TABLES = """
CREATE TABLE shop.products (
    sku          text PRIMARY KEY CHECK (sku ~ '^[a-z0-9][a-z0-9-]{0,62}$'),
    name         text NOT NULL CHECK (name <> ''),
    description  text NOT NULL DEFAULT '',
    image        text NOT NULL DEFAULT '',
    unit_amount  bigint NOT NULL CHECK (unit_amount BETWEEN 1 AND 99999999),
    currency     text NOT NULL CHECK (currency ~ '^[a-z]{3}$'),
    on_hand      bigint NOT NULL CHECK (on_hand >= 0),
    position     integer NOT NULL DEFAULT 0
) WITH (fillfactor = 50);  -- on_hand changes all the time: leave room for HOT updates

CREATE TABLE shop.orders (
    id                  text PRIMARY KEY,
    checkout_key        text NOT NULL UNIQUE CHECK (length(checkout_key) BETWEEN 1 AND 200),
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
    CHECK ((payment_session_id IS NULL) = (payment_url IS NULL)),
    CHECK (status NOT IN ('awaiting_payment', 'fulfilled', 'dispatched') OR payment_session_id IS NOT NULL),
    CHECK (status NOT IN ('fulfilled', 'dispatched') OR (fulfilled_at IS NOT NULL AND dispatch_due_at IS NOT NULL)),
    CHECK (status NOT IN ('rejected', 'cancelled', 'refunded') OR reason IS NOT NULL)
) WITH (fillfactor = 80);
CREATE INDEX orders_live ON shop.orders (created_at) WHERE status IN ('pending', 'awaiting_payment');
CREATE INDEX orders_live_by_client ON shop.orders (client) WHERE status IN ('pending', 'awaiting_payment');
CREATE INDEX orders_to_dispatch ON shop.orders (dispatch_due_at) WHERE status = 'fulfilled';
CREATE INDEX orders_newest ON shop.orders (created_at DESC, id DESC);

CREATE TABLE shop.order_lines (
    order_id     text NOT NULL REFERENCES shop.orders,
    sku          text NOT NULL REFERENCES shop.products,
    quantity     integer NOT NULL CHECK (quantity BETWEEN 1 AND 99),
    unit_amount  bigint NOT NULL CHECK (unit_amount > 0),
    PRIMARY KEY (order_id, sku),
    UNIQUE (order_id, sku, quantity)
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
    cause     text NOT NULL CHECK (cause IN ('seed', 'restock', 'reserve', 'release')),
    order_id  text REFERENCES shop.orders,
    at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    CHECK ((order_id IS NOT NULL) = (cause IN ('reserve', 'release')))
);

CREATE TABLE shop.order_events (
    order_id  text NOT NULL REFERENCES shop.orders,
    seq       integer NOT NULL CHECK (seq > 0),
    kind      text NOT NULL,
    at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    data      jsonb NOT NULL DEFAULT '{}',
    PRIMARY KEY (order_id, seq)
);
"""

GUARD_ORDER = """
CREATE FUNCTION shop.guard_order() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (NEW.id, NEW.checkout_key, NEW.fingerprint, NEW.amount_total, NEW.currency, NEW.expires_at)
       IS DISTINCT FROM
       (OLD.id, OLD.checkout_key, OLD.fingerprint, OLD.amount_total, OLD.currency, OLD.expires_at) THEN
        RAISE EXCEPTION 'order %: what was agreed does not change', OLD.id USING ERRCODE = 'check_violation';
    END IF;
    IF OLD.payment_session_id IS NOT NULL AND NEW.payment_session_id IS DISTINCT FROM OLD.payment_session_id THEN
        RAISE EXCEPTION 'order %: has its one payment session', OLD.id USING ERRCODE = 'check_violation';
    END IF;
    IF NEW.status <> OLD.status AND (OLD.status || '>' || NEW.status) NOT IN (
        'pending>awaiting_payment', 'pending>rejected', 'pending>cancelled',
        'awaiting_payment>fulfilled', 'awaiting_payment>cancelled', 'awaiting_payment>refunded',
        'fulfilled>dispatched', 'fulfilled>refunded', 'dispatched>refunded',
        'cancelled>refunded', 'rejected>refunded') THEN
        RAISE EXCEPTION 'order %: no way from % to %', OLD.id, OLD.status, NEW.status
            USING ERRCODE = 'check_violation';
    END IF;
    NEW.updated_at := clock_timestamp();
    RETURN NEW;
END $$;
CREATE TRIGGER guard_order BEFORE UPDATE ON shop.orders FOR EACH ROW EXECUTE FUNCTION shop.guard_order();
"""

GUARD_RESERVATION = """
CREATE FUNCTION shop.guard_reservation() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.state = 'released' OR (OLD.state = 'consumed' AND NEW.state = 'held') THEN
        RAISE EXCEPTION 'reservation (%, %): no way from % to %', OLD.order_id, OLD.sku, OLD.state, NEW.state
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER guard_reservation BEFORE UPDATE OF state ON shop.reservations
    FOR EACH ROW WHEN (OLD.state IS DISTINCT FROM NEW.state) EXECUTE FUNCTION shop.guard_reservation();
"""

CHECK_RESERVATIONS = """
CREATE FUNCTION shop.check_reservations() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    the_order  text;
    the_status text;
    wanted     text;
    lines      bigint;
    agreeing   bigint;
    active     bigint;
BEGIN
    IF TG_TABLE_NAME = 'orders' THEN the_order := NEW.id; ELSE the_order := NEW.order_id; END IF;
    SELECT status INTO the_status FROM shop.orders WHERE id = the_order;
    wanted := CASE WHEN the_status IN ('pending', 'awaiting_payment') THEN 'held'
                   WHEN the_status IN ('fulfilled', 'dispatched') THEN 'consumed' END;
    SELECT count(*), count(*) FILTER (WHERE r.state = wanted), count(*) FILTER (WHERE r.state IN ('held', 'consumed'))
      INTO lines, agreeing, active
      FROM shop.order_lines l LEFT JOIN shop.reservations r USING (order_id, sku) WHERE l.order_id = the_order;
    IF (wanted IS NOT NULL AND agreeing <> lines) OR (wanted IS NULL AND active <> 0) OR lines = 0 THEN
        RAISE EXCEPTION 'order %: % of % lines reserved as its status % asks', the_order, agreeing, lines, the_status
            USING ERRCODE = 'check_violation', CONSTRAINT = 'reservations_agree';
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER reservations_agree AFTER INSERT OR UPDATE OF status ON shop.orders
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION shop.check_reservations();
CREATE CONSTRAINT TRIGGER reservations_agree AFTER UPDATE OF state ON shop.reservations
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (OLD.state IS DISTINCT FROM NEW.state)
    EXECUTE FUNCTION shop.check_reservations();
"""

NOTIFY = """
CREATE FUNCTION shop.notify_order_event() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('order_events', NEW.order_id || ':' || NEW.seq || ':' || NEW.kind);
    RETURN NULL;
END $$;
CREATE TRIGGER notify_order_event AFTER INSERT ON shop.order_events
    FOR EACH ROW EXECUTE FUNCTION shop.notify_order_event();
"""


def upgrade() -> None:
    for script in (TABLES, GUARD_ORDER, GUARD_RESERVATION, CHECK_RESERVATIONS, NOTIFY):
        for statement in _statements(script):
            op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("This would delete orders and payments. Restore a backup instead.")


def _statements(script: str) -> list[str]:
    """asyncpg takes one statement at a time; a function body keeps its semicolons."""
    statements: list[str] = []
    current = ""
    in_body = False
    for line in script.splitlines():
        current += line + "\n"
        if line.count("$$") % 2:
            in_body = not in_body
        if line.split("--")[0].rstrip().endswith(";") and not in_body:
            statements.append(current)
            current = ""
    return statements
