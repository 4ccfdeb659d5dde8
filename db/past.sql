-- Orders as if they had been sold one by one, `past.first` to `past.last` of `past.orders`. Of a hundred, the rest of
-- what is named here is dispatched.
CREATE TEMPORARY TABLE drawn ON COMMIT DROP AS
SELECT n, 'ord_' || md5('order ' || run || n) AS id, run || '-' || n AS checkout_key,
       CASE WHEN share < 3 THEN 'rejected' WHEN share < 9 THEN 'cancelled' WHEN share < 11 THEN 'refunded'
            ELSE 'dispatched' END AS status,
       CASE WHEN share < 3 THEN 'out_of_stock' WHEN share < 6 THEN 'timeout' WHEN share < 9 THEN 'customer'
            WHEN share < 11 THEN 'operator' END AS reason,
       'customer' || n % 200000 || '@example.com' AS email, 1 + (n % 3 = 0)::int + (n % 10 = 0)::int AS lines,
       now() - interval '730 days' + interval '729 days' * (n - 1) / orders AS at
  FROM (SELECT current_setting('past.run') AS run, current_setting('past.orders')::bigint AS orders,
               current_setting('past.first')::bigint AS first, current_setting('past.last')::bigint AS last) chunk,
       generate_series(first, last) n, mod(n * 7919 + n / 100 * 31, 100) share;

CREATE TEMPORARY TABLE shelf ON COMMIT DROP AS
SELECT sku, name, unit_amount, currency, row_number() OVER (ORDER BY position, sku) - 1 AS place,
       count(*) OVER () AS places
  FROM shop.products
 WHERE currency = (SELECT currency FROM shop.products GROUP BY currency ORDER BY count(*) DESC, currency LIMIT 1);

CREATE TEMPORARY TABLE drawn_lines ON COMMIT DROP AS
SELECT DISTINCT ON (d.id, s.sku) d.id AS order_id, d.status, d.at, s.sku, s.name, s.unit_amount, s.currency,
       1 + (d.n + line) % 3 AS quantity
  FROM drawn d CROSS JOIN LATERAL generate_series(1, d.lines) line
  JOIN shelf s ON s.place = (d.n * 13 + line * 7) % s.places;

CREATE TEMPORARY TABLE past ON COMMIT DROP AS
SELECT d.*, md5(d.id) AS mark, total, currency, skus, d.status IN ('dispatched', 'refunded') AS paid,
       CASE WHEN d.status <> 'rejected' THEN 'cs_test_' || md5(d.id) END AS session
  FROM drawn d
  JOIN (SELECT order_id, sum(quantity * unit_amount) AS total, min(currency) AS currency, array_agg(sku) AS skus
          FROM drawn_lines GROUP BY 1) l ON l.order_id = d.id;

INSERT INTO shop.orders (id, checkout_key, fingerprint, status, reason, missing_skus, email, email_folded,
                         amount_total, currency, payment_session_id, payment_url, payment_intent_id, expires_at,
                         created_at, updated_at, fulfilled_at, dispatch_due_at, on_hold, event_count)
SELECT id, checkout_key, mark || mark, status, reason, CASE status WHEN 'rejected' THEN skus END, email, email,
       total, currency, session, 'https://pay.example/' || session, CASE WHEN paid THEN 'pi_' || mark END,
       at + interval '15 minutes', at, at + interval '2 minutes', CASE WHEN paid THEN at + interval '1 minute' END,
       CASE WHEN paid THEN at + interval '70 seconds' END, status = 'refunded',
       CASE status WHEN 'rejected' THEN 1 WHEN 'cancelled' THEN 3 ELSE 5 END
  FROM past;

INSERT INTO shop.order_lines (order_id, sku, name, quantity, unit_amount, currency)
SELECT order_id, sku, name, quantity, unit_amount, currency FROM drawn_lines;

INSERT INTO shop.reservations (order_id, sku, quantity, state)
SELECT order_id, sku, quantity, CASE status WHEN 'dispatched' THEN 'consumed' ELSE 'released' END
  FROM drawn_lines WHERE status <> 'rejected';

INSERT INTO shop.order_events (order_id, seq, kind, at, data)
SELECT id, seq, kind, at + seq * interval '20 seconds',
       CASE kind WHEN 'awaiting_payment' THEN jsonb_build_object('session_id', 'cs_test_' || md5(id))
                 WHEN status THEN jsonb_strip_nulls(jsonb_build_object('reason', reason)) ELSE '{}' END
  FROM drawn,
       unnest(CASE status WHEN 'rejected' THEN '{rejected}'::text[]
                          WHEN 'cancelled' THEN '{reserved,awaiting_payment,cancelled}'
                          ELSE ARRAY['reserved', 'awaiting_payment', 'paid', 'fulfilled', status] END)
       WITH ORDINALITY AS told(kind, seq);

INSERT INTO shop.payments (payment_intent_id, order_id, amount, currency, state, at)
SELECT 'pi_' || mark, id, total, currency, 'paid', at + interval '1 minute' FROM past WHERE paid;

INSERT INTO shop.refunds (id, payment_intent_id, order_id, provider_refund_id, amount, state, requested_by, reason,
                          request_key, at, changed_at)
SELECT 'rfd_' || mark, 'pi_' || mark, id, 're_' || mark, total, 'succeeded', 'operator', reason, '/whole',
       at + interval '2 minutes', at + interval '2 minutes'
  FROM past WHERE status = 'refunded';

-- What was sold had been brought in before; so the stock of today is untouched.
INSERT INTO shop.stock_movements (sku, delta, cause, at)
SELECT sku, sum(quantity), 'restock', min(at) FROM drawn_lines WHERE status = 'dispatched' GROUP BY sku;

INSERT INTO shop.stock_movements (sku, delta, cause, order_id, at)
SELECT sku, -quantity, 'reserve', order_id, at FROM drawn_lines WHERE status <> 'rejected'
UNION ALL
SELECT sku, quantity, 'release', order_id, at + interval '1 minute'
  FROM drawn_lines WHERE status IN ('cancelled', 'refunded');

-- What triggers would have written: nobody has audited these orders yet, and more was brought in.
INSERT INTO shop.audit_due (order_id) SELECT id FROM past;

UPDATE shop.stock_sums s SET brought = s.brought + l.quantity
  FROM (SELECT sku, sum(quantity) AS quantity FROM drawn_lines WHERE status = 'dispatched' GROUP BY 1) l
 WHERE l.sku = s.sku;
