-- What may become of payments, refunds and disputes; and what follows for the order.
--
-- Refunds that are not undone never exceed their payment. Whoever writes one takes its payment's row first, by an update
-- (`version`), so that this holds at every isolation level and for any writer (`guard_refund`).
-- What was done is not undone: a payment that is paid stays paid, a refund moves pending > succeeded > failed, a dispute
-- that is closed does not open again.
-- `orders.on_hold` says what follows for the warehouse: a dispute that is open or lost, or all of the money asked back.
-- Only triggers write it, in the transaction of the change, so that dispatching an order and giving its money back meet
-- in the order's own row (`refresh_hold`, `guard_order`).

CREATE OR REPLACE FUNCTION shop.guard_order() RETURNS trigger LANGUAGE plpgsql AS $$
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
        'awaiting_payment>payment_processing', 'awaiting_payment>fulfilled', 'awaiting_payment>cancelled',
        'awaiting_payment>refunded', 'payment_processing>fulfilled', 'payment_processing>cancelled',
        'payment_processing>refunded', 'fulfilled>dispatched', 'fulfilled>refunded',
        'dispatched>refunded', 'cancelled>refunded', 'rejected>refunded') THEN
        RAISE EXCEPTION 'order %: no way from % to %', OLD.id, OLD.status, NEW.status
            USING ERRCODE = 'check_violation';
    END IF;
    IF NEW.status = 'dispatched' AND OLD.status = 'fulfilled' AND NEW.on_hold THEN
        RAISE EXCEPTION 'order %: is held, its money is disputed or asked back', OLD.id
            USING ERRCODE = 'check_violation';
    END IF;
    NEW.updated_at := clock_timestamp();
    RETURN NEW;
END $$;

CREATE OR REPLACE FUNCTION shop.check_reservations() RETURNS trigger LANGUAGE plpgsql AS $$
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
    wanted := CASE WHEN the_status IN ('pending', 'awaiting_payment', 'payment_processing') THEN 'held'
                   WHEN the_status IN ('fulfilled', 'dispatched') THEN 'consumed' END;
    -- Of an order that was refunded, the customer may have kept goods.
    SELECT count(*), count(*) FILTER (WHERE r.state = wanted),
           count(*) FILTER (WHERE r.state = 'held' OR r.state = 'consumed' AND the_status <> 'refunded')
      INTO lines, agreeing, active
      FROM shop.order_lines l LEFT JOIN shop.reservations r USING (order_id, sku) WHERE l.order_id = the_order;
    IF (wanted IS NOT NULL AND agreeing <> lines) OR (wanted IS NULL AND active <> 0) OR lines = 0 THEN
        RAISE EXCEPTION 'order %: % of % lines reserved as its status % asks', the_order, agreeing, lines,
            the_status USING ERRCODE = 'check_violation', CONSTRAINT = 'reservations_agree';
    END IF;
    RETURN NULL;
END $$;

CREATE FUNCTION shop.guard_payment() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (NEW.payment_intent_id, NEW.order_id, NEW.amount, NEW.currency)
       IS DISTINCT FROM (OLD.payment_intent_id, OLD.order_id, OLD.amount, OLD.currency)
       OR NEW.version < OLD.version THEN
        RAISE EXCEPTION 'payment %: what was paid does not change', OLD.payment_intent_id
            USING ERRCODE = 'check_violation';
    END IF;
    IF NEW.state <> OLD.state AND (OLD.state || ' to ' || NEW.state) NOT IN (
        'processing to paid', 'processing to failed', 'failed to paid') THEN
        RAISE EXCEPTION 'payment %: no way from % to %', OLD.payment_intent_id, OLD.state, NEW.state
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;

CREATE FUNCTION shop.guard_refund() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    paid      shop.payments;
    refunded  bigint;
BEGIN
    IF TG_OP = 'UPDATE' THEN
        IF (NEW.id, NEW.payment_intent_id, NEW.order_id, NEW.amount, NEW.requested_by, NEW.request_key, NEW.request,
            NEW.attempt, NEW.at)
           IS DISTINCT FROM (OLD.id, OLD.payment_intent_id, OLD.order_id, OLD.amount, OLD.requested_by,
            OLD.request_key, OLD.request, OLD.attempt, OLD.at)
           OR OLD.provider_refund_id IS NOT NULL AND NEW.provider_refund_id IS DISTINCT FROM OLD.provider_refund_id
        THEN
            RAISE EXCEPTION 'refund %: what was asked for does not change', OLD.id
                USING ERRCODE = 'check_violation';
        END IF;
        IF NEW.state <> OLD.state AND (OLD.state || ' to ' || NEW.state) NOT IN (
            'pending to succeeded', 'pending to failed', 'pending to cancelled', 'succeeded to failed')
           AND NOT (OLD.state = 'succeeded' AND NEW.state = 'cancelled' AND OLD.provider_refund_id IS NULL)
           -- Given up, and then the provider says that it had taken it.
           AND NOT (OLD.state IN ('failed', 'cancelled') AND OLD.provider_refund_id IS NULL
                    AND NEW.provider_refund_id IS NOT NULL) THEN
            RAISE EXCEPTION 'refund %: no way from % to %', OLD.id, OLD.state, NEW.state
                USING ERRCODE = 'check_violation';
        END IF;
        NEW.changed_at := clock_timestamp();
    END IF;
    UPDATE shop.payments SET version = version + 1 WHERE payment_intent_id = NEW.payment_intent_id
        RETURNING * INTO paid;
    SELECT coalesce(sum(amount), 0) INTO refunded FROM shop.refunds
     WHERE payment_intent_id = NEW.payment_intent_id AND state IN ('pending', 'succeeded') AND id <> NEW.id;
    IF NEW.state IN ('pending', 'succeeded') AND (paid.state <> 'paid' OR refunded + NEW.amount > paid.amount) THEN
        RAISE EXCEPTION 'refund % of %: of payment % (%, %) % are given back or on their way', NEW.id, NEW.amount,
            NEW.payment_intent_id, paid.state, paid.amount, refunded
            USING ERRCODE = 'check_violation', CONSTRAINT = 'refunds_within_payment';
    END IF;
    RETURN NEW;
END $$;

CREATE FUNCTION shop.guard_refund_line() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    of_order  text;
    bought    bigint;
    refunded  bigint;
BEGIN
    IF TG_OP = 'UPDATE' AND (OLD.restocked OR (NEW.refund_id, NEW.sku, NEW.quantity, NEW.restock)
                             IS DISTINCT FROM (OLD.refund_id, OLD.sku, OLD.quantity, OLD.restock)) THEN
        RAISE EXCEPTION 'refund %, %: what came back does not change', OLD.refund_id, OLD.sku
            USING ERRCODE = 'check_violation';
    END IF;
    -- The next who names lines of this payment waits here.
    UPDATE shop.payments p SET version = version + 1 FROM shop.refunds r
     WHERE r.id = NEW.refund_id AND p.payment_intent_id = r.payment_intent_id RETURNING p.order_id INTO of_order;
    SELECT quantity INTO bought FROM shop.order_lines WHERE order_id = of_order AND sku = NEW.sku;
    -- Lines of a refund that came to nothing before the provider took it count no more.
    SELECT coalesce(sum(l.quantity), 0) INTO refunded FROM shop.refunds r JOIN shop.refund_lines l
        ON l.refund_id = r.id WHERE r.order_id = of_order AND l.sku = NEW.sku AND r.id <> NEW.refund_id
       AND (r.state IN ('pending', 'succeeded') OR r.provider_refund_id IS NOT NULL);
    IF bought IS NULL OR refunded + NEW.quantity > bought THEN
        RAISE EXCEPTION 'refund %: % of %, of % bought % are refunded already', NEW.refund_id, NEW.quantity,
            NEW.sku, coalesce(bought, 0), refunded
            USING ERRCODE = 'check_violation', CONSTRAINT = 'refund_lines_within_order';
    END IF;
    RETURN NEW;
END $$;

CREATE FUNCTION shop.guard_dispute() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        IF (NEW.id, NEW.payment_intent_id, NEW.order_id) IS DISTINCT FROM
           (OLD.id, OLD.payment_intent_id, OLD.order_id)
           OR OLD.state IN ('won', 'lost', 'warning_closed', 'prevented')
           AND NEW.state NOT IN ('won', 'lost', 'warning_closed', 'prevented') THEN
            RAISE EXCEPTION 'dispute %: no way from % to %', OLD.id, OLD.state, NEW.state
                USING ERRCODE = 'check_violation';
        END IF;
        NEW.changed_at := clock_timestamp();
    END IF;
    UPDATE shop.payments SET version = version + 1 WHERE payment_intent_id = NEW.payment_intent_id;
    RETURN NEW;
END $$;

CREATE FUNCTION shop.is_on_hold(the_order text) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT EXISTS (SELECT 1 FROM shop.disputes
                    WHERE order_id = the_order AND state NOT IN ('won', 'warning_closed', 'prevented'))
        OR coalesce((SELECT sum(r.amount) FILTER (WHERE r.state IN ('pending', 'succeeded')
                            OR r.provider_refund_id IS NOT NULL AND r.request_key IS NOT NULL
                            AND NOT EXISTS (SELECT 1 FROM shop.refunds again
                                             WHERE again.payment_intent_id = r.payment_intent_id
                                               AND again.request_key = r.request_key
                                               AND again.attempt > r.attempt)) >= p.amount
                       FROM shop.payments p JOIN shop.refunds r USING (payment_intent_id)
                      WHERE p.order_id = the_order GROUP BY p.amount), false)
$$;

CREATE FUNCTION shop.refresh_hold() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    UPDATE shop.orders SET on_hold = NOT on_hold
     WHERE id = NEW.order_id AND on_hold IS DISTINCT FROM shop.is_on_hold(id);
    RETURN NULL;
END $$;

CREATE FUNCTION shop.enter_payment() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO shop.payments (payment_intent_id, order_id, amount, currency, state)
    VALUES (NEW.payment_intent_id, NEW.id, NEW.amount_total, NEW.currency, 'paid') ON CONFLICT DO NOTHING;
    UPDATE shop.payments p SET look_at = clock_timestamp()
     WHERE p.order_id = NEW.id AND NEW.status IN ('cancelled', 'rejected', 'refunded') AND p.look_at IS NULL
       AND p.state = 'paid' AND p.amount > (SELECT coalesce(sum(amount), 0) FROM shop.refunds r
             WHERE r.payment_intent_id = p.payment_intent_id AND r.state IN ('pending', 'succeeded'));
    RETURN NULL;
END $$;

CREATE TRIGGER guard_payment BEFORE UPDATE ON shop.payments
    FOR EACH ROW EXECUTE FUNCTION shop.guard_payment();

CREATE TRIGGER guard_refund BEFORE INSERT OR UPDATE ON shop.refunds
    FOR EACH ROW EXECUTE FUNCTION shop.guard_refund();

CREATE TRIGGER guard_refund_line BEFORE INSERT OR UPDATE ON shop.refund_lines
    FOR EACH ROW EXECUTE FUNCTION shop.guard_refund_line();

CREATE TRIGGER guard_dispute BEFORE INSERT OR UPDATE ON shop.disputes
    FOR EACH ROW EXECUTE FUNCTION shop.guard_dispute();

CREATE TRIGGER refresh_hold AFTER INSERT OR UPDATE ON shop.refunds
    FOR EACH ROW WHEN (NEW.order_id IS NOT NULL) EXECUTE FUNCTION shop.refresh_hold();

CREATE TRIGGER refresh_hold AFTER INSERT OR UPDATE ON shop.disputes
    FOR EACH ROW WHEN (NEW.order_id IS NOT NULL) EXECUTE FUNCTION shop.refresh_hold();

CREATE TRIGGER enter_payment AFTER UPDATE OF status, payment_intent_id ON shop.orders
    FOR EACH ROW WHEN (NEW.payment_intent_id IS NOT NULL AND NEW.status <> 'payment_processing'
        AND (OLD.payment_intent_id IS NULL OR NEW.status IN ('cancelled', 'refunded')))
    EXECUTE FUNCTION shop.enter_payment();

DO $$
DECLARE part text;
BEGIN
    FOREACH part IN ARRAY ARRAY['payments', 'refunds', 'refund_lines', 'disputes'] LOOP
        EXECUTE format('CREATE TRIGGER is_kept BEFORE DELETE OR TRUNCATE ON shop.%I
                        FOR EACH STATEMENT EXECUTE FUNCTION shop.refuse()', part);
    END LOOP;
    FOREACH part IN ARRAY ARRAY['payments', 'refunds', 'disputes'] LOOP
        EXECUTE format('CREATE TRIGGER note_insert AFTER INSERT ON shop.%I REFERENCING NEW TABLE AS changed
                        FOR EACH STATEMENT EXECUTE FUNCTION shop.note_part()', part);
        EXECUTE format('CREATE TRIGGER note_update AFTER UPDATE ON shop.%I REFERENCING OLD TABLE AS changed
                        FOR EACH STATEMENT EXECUTE FUNCTION shop.note_part()', part);
        EXECUTE format('CREATE TRIGGER note_delete AFTER DELETE ON shop.%I REFERENCING OLD TABLE AS changed
                        FOR EACH STATEMENT EXECUTE FUNCTION shop.note_part()', part);
    END LOOP;
END $$;
