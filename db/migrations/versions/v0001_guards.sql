-- The guards. An order moves only forward (`guard_order`), a reservation only held > consumed | released, and consumed >
-- released; released is a tombstone: nothing leaves it (`guard_reservation`). At COMMIT an order and its reservations
-- agree (`check_reservations`), and its total is what its lines add up to (`check_total`).

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

-- Live orders hold, fulfilled and dispatched ones have consumed, all others have nothing.
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

-- Neither ever changes after that.
CREATE FUNCTION shop.check_total() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (SELECT amount_total FROM shop.orders WHERE id = NEW.order_id)
       <> (SELECT sum(quantity * unit_amount) FROM shop.order_lines WHERE order_id = NEW.order_id) THEN
        RAISE EXCEPTION 'order %: its total is not what its lines add up to', NEW.order_id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'total_agrees';
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER total_agrees AFTER INSERT ON shop.order_lines
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION shop.check_total();

-- Pictures only from where pages may load them. Checked when it is written, not by a constraint, which would refuse
-- sales of products whose old address never worked.
CREATE FUNCTION shop.guard_picture() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.image !~ '^(/[^/]|https://[a-z0-9.-]+(:[0-9]{1,5})?(/|$)|$)' THEN
        RAISE EXCEPTION 'product %: a picture is a path of this site (/x) or an address that begins with https:// '
            'and a host in lower case, not %', NEW.sku, NEW.image USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER guard_picture BEFORE INSERT OR UPDATE OF image ON shop.products
    FOR EACH ROW EXECUTE FUNCTION shop.guard_picture();

-- Nothing that happened is deleted, and what was written down once is not rewritten: refused for the schema's owner as
-- well. Who must delete all the same (a court's order, say) has to say so first, by ALTER TABLE ... DISABLE TRIGGER.
CREATE FUNCTION shop.refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'shop.%: % is refused, what happened stays', TG_TABLE_NAME, TG_OP
        USING ERRCODE = 'check_violation';
END $$;
CREATE TRIGGER is_kept BEFORE DELETE OR TRUNCATE ON shop.products
    FOR EACH STATEMENT EXECUTE FUNCTION shop.refuse();
CREATE TRIGGER is_kept BEFORE DELETE OR TRUNCATE ON shop.orders
    FOR EACH STATEMENT EXECUTE FUNCTION shop.refuse();
CREATE TRIGGER is_kept BEFORE UPDATE OR DELETE OR TRUNCATE ON shop.order_lines
    FOR EACH STATEMENT EXECUTE FUNCTION shop.refuse();
CREATE TRIGGER is_kept BEFORE DELETE OR TRUNCATE ON shop.reservations
    FOR EACH STATEMENT EXECUTE FUNCTION shop.refuse();
CREATE TRIGGER is_kept BEFORE UPDATE OR DELETE OR TRUNCATE ON shop.stock_movements
    FOR EACH STATEMENT EXECUTE FUNCTION shop.refuse();
CREATE TRIGGER is_kept BEFORE UPDATE OR DELETE OR TRUNCATE ON shop.order_events
    FOR EACH STATEMENT EXECUTE FUNCTION shop.refuse();

CREATE FUNCTION shop.notify_order_event() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('order_events', NEW.order_id || ':' || NEW.seq || ':' || NEW.kind);
    RETURN NULL;
END $$;
CREATE TRIGGER notify_order_event AFTER INSERT ON shop.order_events
    FOR EACH ROW EXECUTE FUNCTION shop.notify_order_event();
