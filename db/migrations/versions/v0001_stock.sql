-- Goods come in and are written off, products are withdrawn and put back, the catalogue is changed: by functions only.
--
-- They run with their owner's rights (SECURITY DEFINER), so that the gateway's role needs none on the tables: it can lose
-- no stock without a movement that says why, and touch no order. `search_path` is pinned, as PostgreSQL's manual asks of
-- such functions ("Writing SECURITY DEFINER Functions Safely").

CREATE FUNCTION shop.restock(the_sku text, added bigint) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    left_over bigint;
BEGIN
    IF added IS NULL OR added NOT BETWEEN 1 AND 1000000 THEN
        RAISE EXCEPTION 'restock: 1 to 1000000 pieces, not %', added USING ERRCODE = 'check_violation';
    END IF;
    UPDATE shop.products SET on_hand = on_hand + added WHERE sku = the_sku RETURNING on_hand INTO left_over;
    IF left_over IS NOT NULL THEN
        INSERT INTO shop.stock_movements (sku, delta, cause) VALUES (the_sku, added, 'restock');
    END IF;
    RETURN left_over;
END $$;

CREATE FUNCTION shop.write_off(the_sku text, removed bigint, why text) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    left_over bigint;
BEGIN
    IF removed IS NULL OR removed NOT BETWEEN 1 AND 1000000 THEN
        RAISE EXCEPTION 'write_off: 1 to 1000000 pieces, not %', removed USING ERRCODE = 'check_violation';
    END IF;
    UPDATE shop.products SET on_hand = on_hand - removed WHERE sku = the_sku AND on_hand >= removed
        RETURNING on_hand INTO left_over;
    IF left_over IS NOT NULL THEN
        INSERT INTO shop.stock_movements (sku, delta, cause, note) VALUES (the_sku, -removed, 'write_off', why);
    END IF;
    RETURN left_over;
END $$;

-- Answers whether the product is new. A new one has nothing on hand, and stands at the end of the shop.
CREATE FUNCTION shop.put_product(
    the_sku text, the_name text, the_description text, the_image text, the_amount bigint, the_currency text
) RETURNS boolean LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    INSERT INTO shop.products (sku, name, description, image, unit_amount, currency, on_hand, position)
    SELECT the_sku, the_name, the_description, the_image, the_amount, the_currency, 0, coalesce(max(position), 0) + 1
      FROM shop.products
    ON CONFLICT (sku) DO UPDATE
       SET name = EXCLUDED.name, description = EXCLUDED.description, image = EXCLUDED.image,
           unit_amount = EXCLUDED.unit_amount, currency = EXCLUDED.currency
    RETURNING xmax = 0  -- a row that was updated has one
$$;

CREATE FUNCTION shop.set_withdrawn(the_sku text, is_withdrawn boolean) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    UPDATE shop.products SET withdrawn_at = CASE WHEN is_withdrawn THEN clock_timestamp() END
     WHERE sku = the_sku AND (withdrawn_at IS NOT NULL) <> is_withdrawn
$$;

REVOKE ALL ON FUNCTION shop.restock(text, bigint) FROM PUBLIC;
REVOKE ALL ON FUNCTION shop.write_off(text, bigint, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION shop.put_product(text, text, text, text, bigint, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION shop.set_withdrawn(text, boolean) FROM PUBLIC;
