-- The invariants over both ledgers, the shop's and the payment service's, as statements whose rows are violations.
--
-- 1, 3, 4, 7, 8 and 9 must hold at every moment; 2, 5 and 6 once an order has been left alone for a grace, since a
-- payment and its fulfilment are two transactions in two systems. What reads the payment service's tables can be asked
-- only where the simulator shares the database; with another provider those say "0 checked".
--
-- What was charged, less refunds that succeeded or are on their way, less what a bank has taken for a dispute, is what
-- the payment service's ledger must have left of a payment. An order that was never fulfilled, or was refunded, keeps
-- nothing.
--
-- A heading names the invariant (`db.invariants.NAMES`) and what is looked at: the `orders` that are given, each with
-- all that hangs on it and nothing else, or what is `standing`: whatever is live, open or owed, by an index of its own.
-- Two statements follow: how much is looked at; and what is wrong, as whom it is about and one sentence. Names in
-- braces are of `db.order_queries`, and `GRACE_AGO` the time before which all must be well.

-- with: orders
WITH scope AS (
    SELECT unnest(CAST(:orders AS text[])) AS id
), counted AS NOT MATERIALIZED {COUNTED_LINES}, book AS NOT MATERIALIZED (  -- what the shop has of payments
    SELECT p.*, amount - (SELECT coalesce(sum(r.amount), 0) FROM shop.refunds r
                            WHERE r.payment_intent_id = p.payment_intent_id AND r.state IN ('pending', 'succeeded')
                              AND (r.provider_refund_id IS NOT NULL OR r.state = 'succeeded'))
                - (SELECT coalesce(sum(d.amount), 0) FROM shop.disputes d
                    WHERE d.payment_intent_id = p.payment_intent_id
                      AND d.state IN ('needs_response', 'under_review', 'lost')) AS balance,
           (SELECT coalesce(sum(r.amount), 0) FROM shop.refunds r
             WHERE r.payment_intent_id = p.payment_intent_id AND r.state = 'succeeded') AS refunded,
           (SELECT coalesce(sum(r.amount), 0) FROM shop.refunds r
             WHERE r.payment_intent_id = p.payment_intent_id AND r.state IN ('pending', 'succeeded')) AS wanted
      FROM shop.payments p
)

-- with: payments
, sessions AS NOT MATERIALIZED (  -- that were opened for one of the orders; and those given by their own id
    SELECT s.id, s.metadata ->> 'order_id' AS order_id, s.payment_intent
      FROM scope JOIN payments.sessions s ON s.metadata ->> 'order_id' = scope.id
     UNION SELECT s.id, s.metadata ->> 'order_id', s.payment_intent FROM scope JOIN payments.sessions s USING (id)
), money AS NOT MATERIALIZED (  -- charges and the balance of each, straight from the payment service's ledger
    SELECT s.id AS session_id, s.order_id, s.payment_intent, min(l.currency) AS currency, max(l.at) AS at,
           count(*) FILTER (WHERE l.kind = 'charge') AS charges,
           sum(CASE WHEN l.kind IN ('charge', 'refund_failure', 'dispute_reversal') THEN l.amount ELSE -l.amount END)
               AS balance
      FROM sessions s JOIN payments.ledger l ON l.session_id = s.id
     GROUP BY s.id, s.order_id, s.payment_intent
), books AS NOT MATERIALIZED (
    SELECT b.* FROM scope JOIN book b ON b.order_id = scope.id
     UNION SELECT b.* FROM sessions s JOIN book b ON b.payment_intent_id = s.payment_intent
)

-- 1: orders and payments
SELECT coalesce(sum(charges), 0) FROM money;
SELECT order_id, 'order ' || order_id || ' was charged ' || sum(charges) || ' times' FROM money
 WHERE order_id IS NOT NULL GROUP BY order_id HAVING sum(charges) > 1;

-- 2: orders
SELECT count(*) FROM scope JOIN shop.orders USING (id);
SELECT id, 'order ' || id || ' (' || status || ', total ' || amount_total || ' ' || currency || '): ' || wrong
  FROM (SELECT o.*, CASE
        WHEN o.payment_intent_id IS NOT NULL AND b.payment_intent_id IS NULL
        THEN 'its payment ' || o.payment_intent_id || ' is not in the ledger'
        WHEN o.payment_intent_id IS NOT NULL AND o.status IN {KEPT}
             AND (b.state, b.amount, b.currency) IS DISTINCT FROM ('paid', o.amount_total, o.currency)
        THEN 'was paid ' || b.amount || ' ' || b.currency || ' (' || b.state || ')'
        WHEN b.wanted > b.amount
        THEN b.wanted || ' of ' || b.amount || ' are given back or on their way'
        WHEN o.payment_intent_id IS NOT NULL AND o.status IN {KEPT} AND b.refunded = b.amount
        THEN 'all of it was given back'
        WHEN o.status IN ('cancelled', 'rejected', 'refunded') AND b.state = 'paid' AND b.balance > 0
             AND b.wanted < b.amount
             -- What failed a moment ago waits for its next attempt.
             AND (b.look_at IS NULL OR b.look_at < {GRACE_AGO})
        THEN 'keeps ' || b.balance || ' that nobody gives back'
        WHEN o.status IN {KEPT} AND o.on_hold <> shop.is_on_hold(o.id)
        THEN 'is ' || CASE WHEN o.on_hold THEN '' ELSE 'not ' END || 'held, and should be otherwise'
        END AS wrong
          FROM scope JOIN shop.orders o USING (id) LEFT JOIN book b ON b.order_id = o.id
         WHERE o.updated_at < {GRACE_AGO}) judged
 WHERE wrong IS NOT NULL;

-- 2: orders and payments
SELECT count(*) FROM money;
SELECT coalesce(m.order_id, b.order_id, m.session_id),
       'payment ' || coalesce(b.payment_intent_id, m.payment_intent, m.session_id) || ' of '
       || coalesce('order ' || coalesce(b.order_id, m.order_id), 'no order')
       || ': the payment service has ' || coalesce(m.balance, 0) || ' ' || coalesce(m.currency, '')
       || ' left of it, the shop ' || coalesce(b.balance || ' ' || b.currency, 'nothing')
  FROM money m FULL JOIN (SELECT * FROM books WHERE state = 'paid') b ON b.payment_intent_id = m.payment_intent
  LEFT JOIN shop.orders o ON o.id = coalesce(b.order_id, m.order_id)
 WHERE (o.id IS NULL OR o.updated_at < {GRACE_AGO})
   AND coalesce(m.at, '-infinity') < {GRACE_AGO}
   -- Nothing has happened there for a while, so that the shop has had time to hear of it.
   AND NOT EXISTS (SELECT 1 FROM payments.events e
                    WHERE e.session_id = m.session_id AND e.created_at >= {GRACE_AGO})
   AND (coalesce(m.balance, 0) <> coalesce(b.balance, 0) OR m.currency <> b.currency);

-- 3: orders
SELECT count(*) FROM scope JOIN shop.order_lines l ON l.order_id = scope.id;
SELECT id, 'order ' || id || ' (' || status || '), ' || sku || ': line of ' || wanted || ', '
       || coalesce(state || ' ' || quantity, 'no reservation')
  FROM (SELECT o.id, o.status, l.sku, l.quantity AS wanted, r.quantity, r.state,
               CASE WHEN o.status IN {LIVE} THEN 'held'
                    WHEN o.status IN {KEPT} THEN 'consumed'
                    WHEN o.status = 'rejected' AND o.missing_skus IS NOT NULL THEN NULL  -- held nothing
                    WHEN o.status = 'refunded' AND EXISTS (
                        SELECT 1 FROM counted c WHERE c.order_id = o.id AND c.sku = l.sku AND NOT c.restocked)
                        THEN 'consumed'  -- the customer kept them
                    ELSE 'released' END AS right_state
          FROM scope JOIN shop.order_lines l ON l.order_id = scope.id JOIN shop.orders o ON o.id = l.order_id
          LEFT JOIN shop.reservations r ON r.order_id = l.order_id AND r.sku = l.sku) line
 WHERE state IS DISTINCT FROM right_state OR quantity <> wanted;

-- 4: orders
SELECT 0;
SELECT order_id, 'order ' || order_id || ', ' || sku || ': took ' || -sum(moved) || ' from stock, and has '
       || sum(reserved) || ' reserved'
  FROM (SELECT m.order_id, m.sku, m.delta AS moved, 0 AS reserved
          FROM scope JOIN shop.stock_movements m ON m.order_id = scope.id
        UNION ALL
        SELECT r.order_id, r.sku, 0, r.quantity - coalesce(
                   (SELECT sum(c.quantity) FROM counted c
                     WHERE c.order_id = r.order_id AND c.sku = r.sku AND c.restocked), 0)
          FROM scope JOIN shop.reservations r ON r.order_id = scope.id
         WHERE r.state IN ('held', 'consumed')) part
 GROUP BY order_id, sku HAVING sum(moved) + sum(reserved) <> 0;

-- 4: standing
SELECT count(*) FROM shop.products;
SELECT p.sku, p.sku || ': on hand ' || p.on_hand || ', movements leave ' || coalesce(s.moved, 0)
  FROM shop.products p LEFT JOIN shop.stock_sums s USING (sku)
 WHERE p.on_hand < 0 OR p.on_hand <> coalesce(s.moved, 0);

-- 5: orders and payments
SELECT count(*) FROM books LEFT JOIN shop.refunds USING (payment_intent_id)
  LEFT JOIN shop.disputes USING (payment_intent_id);
-- A refund that succeeded before there was a ledger has no name there: it stands for one of the payment service's.
SELECT coalesce(s.order_id, s.id), 'refund ' || t.id || ' of payment ' || s.payment_intent
       || ': the payment service says ' || t.amount || ' ' || t.status || ', the shop '
       || coalesce(r.amount || ' ' || r.state, 'nothing')
  FROM sessions s JOIN payments.refunds t ON t.session_id = s.id
  JOIN shop.payments p ON p.payment_intent_id = s.payment_intent
  LEFT JOIN shop.refunds r ON r.provider_refund_id = t.id
 WHERE NOT EXISTS (SELECT 1 FROM payments.events e
                    WHERE e.session_id = s.id AND e.created_at >= {GRACE_AGO})
   AND (t.amount, CASE t.status WHEN 'requires_action' THEN 'pending' WHEN 'canceled' THEN 'cancelled'
                  ELSE t.status END) IS DISTINCT FROM (r.amount, r.state)
   AND NOT EXISTS (SELECT 1 FROM shop.refunds n WHERE n.payment_intent_id = p.payment_intent_id
                      AND n.state = 'succeeded' AND n.provider_refund_id IS NULL)
UNION ALL
SELECT coalesce(r.order_id, r.payment_intent_id), 'refund ' || r.provider_refund_id || ' of payment '
       || r.payment_intent_id || ' (' || r.amount || ' ' || r.state || ') is not known to the payment service'
  FROM books b JOIN shop.refunds r USING (payment_intent_id)
 WHERE r.provider_refund_id IS NOT NULL
   AND NOT EXISTS (SELECT 1 FROM payments.refunds t WHERE t.id = r.provider_refund_id)
UNION ALL
SELECT coalesce(s.order_id, s.id), 'dispute ' || coalesce(t.id, d.id) || ' of payment ' || s.payment_intent
       || ': the payment service says ' || coalesce(t.amount || ' ' || t.status, 'nothing')
       || ', the shop ' || coalesce(d.amount || ' ' || d.state, 'nothing')
  FROM sessions s JOIN shop.payments p ON p.payment_intent_id = s.payment_intent
  LEFT JOIN payments.disputes t ON t.session_id = s.id
  LEFT JOIN shop.disputes d ON d.payment_intent_id = p.payment_intent_id
 WHERE (t.id IS NOT NULL OR d.id IS NOT NULL)
   AND NOT EXISTS (SELECT 1 FROM payments.events e
                    WHERE e.session_id = s.id AND e.created_at >= {GRACE_AGO})
   AND (t.id, t.amount, t.status) IS DISTINCT FROM (d.id, d.amount, d.state);

-- 5: standing and payments
SELECT count(*) FROM payments.sessions WHERE status = 'open';
SELECT o.id, 'order ' || o.id || ' (' || o.status || ') has the open session ' || s.id
  FROM payments.sessions s JOIN shop.orders o ON o.id = s.metadata ->> 'order_id'
 WHERE s.status = 'open' AND o.status NOT IN {LIVE} AND o.updated_at < {GRACE_AGO};

-- 6: standing
SELECT (SELECT count(*) FROM shop.orders WHERE status IN {LIVE})
     + (SELECT count(*) FROM shop.orders WHERE status = 'fulfilled' AND NOT on_hold AND dispatch_due_at IS NOT NULL)
     + (SELECT count(*) FROM shop.payments WHERE look_at IS NOT NULL);
SELECT id, 'order ' || id || ' is ' || status || ', its time was up at ' || coalesce(processing_until, expires_at)
  FROM shop.orders
 WHERE status IN {LIVE} AND coalesce(processing_until, expires_at) < {GRACE_AGO}
UNION ALL
SELECT id, 'order ' || id || ' was due for dispatch at ' || dispatch_due_at
  FROM shop.orders
 WHERE status = 'fulfilled' AND NOT on_hold AND dispatch_due_at < {GRACE_AGO}
UNION ALL
SELECT coalesce(order_id, payment_intent_id), 'refund ' || id || ' of payment ' || payment_intent_id
       || ' is owed since ' || at || ', and the payment service has not taken it'
  FROM shop.refunds
 WHERE state = 'pending' AND provider_refund_id IS NULL AND at < {GRACE_AGO}
UNION ALL
SELECT coalesce(order_id, payment_intent_id), 'payment ' || payment_intent_id || ' was to be looked at again at '
       || look_at
  FROM shop.payments WHERE look_at < {GRACE_AGO} - interval '2 minutes';

-- 6: standing and payments
SELECT count(*) FROM payments.deliveries WHERE status = 'pending';
SELECT event_id, 'event ' || event_id || ' has not been taken after ' || attempts || ' attempts'
  FROM payments.deliveries
 WHERE status = 'pending' AND created_at < {GRACE_AGO};

-- 7: orders
SELECT count(*) FROM scope JOIN shop.orders USING (id);
SELECT o.id, 'order ' || o.id || ' answers session ' || coalesce(o.payment_session_id, 'none')
       || ', its customer was told ' || coalesce(e.data ->> 'session_id', 'none')
  FROM scope JOIN shop.orders o USING (id)
  JOIN shop.order_events e ON e.order_id = o.id AND e.kind = 'awaiting_payment'
 WHERE e.data ->> 'session_id' IS DISTINCT FROM o.payment_session_id
UNION ALL
SELECT o.id, 'order ' || o.id || ': total ' || o.amount_total || ', its lines add up to '
       || sum(l.quantity * l.unit_amount)
  FROM scope JOIN shop.orders o USING (id) JOIN shop.order_lines l ON l.order_id = o.id
 GROUP BY o.id HAVING sum(l.quantity * l.unit_amount) <> o.amount_total
UNION ALL
SELECT o.id, 'order ' || o.id || ': total in ' || o.currency || ', ' || l.sku || ' sold in ' || l.currency
  FROM scope JOIN shop.orders o USING (id) JOIN shop.order_lines l ON l.order_id = o.id
 WHERE l.currency <> o.currency
UNION ALL
SELECT o.id, 'key ' || o.checkout_key || ' has the orders ' || o.id || ' and ' || other.id
  FROM scope JOIN shop.orders o USING (id)
  JOIN shop.orders other ON other.checkout_key = o.checkout_key AND other.id <> o.id;

-- 8: orders
SELECT count(*) FROM scope JOIN shop.order_events e ON e.order_id = scope.id;
SELECT o.id, 'order ' || o.id || ' was told ' || e.kind || ' and is ' || o.status
  FROM scope JOIN shop.order_events e ON e.order_id = scope.id JOIN shop.orders o ON o.id = e.order_id
 WHERE (e.kind IN {KEPT} AND o.status NOT IN ('fulfilled', 'dispatched', 'refunded'))
    OR (e.kind IN ('cancelled', 'rejected') AND o.status NOT IN (e.kind, 'refunded'))
    OR (e.kind = 'refunded' AND o.status <> 'refunded')
UNION ALL
SELECT o.id, 'order ' || o.id || ' is ' || o.status || ' but its timeline does not say so'
  FROM scope JOIN shop.orders o USING (id)
 WHERE o.status <> 'pending'
   AND NOT EXISTS (SELECT 1 FROM shop.order_events e WHERE e.order_id = o.id AND e.kind = o.status);

-- 9: orders
SELECT count(*) FROM scope JOIN shop.order_events e ON e.order_id = scope.id;
SELECT e.order_id, 'order ' || e.order_id || ' went from ' || e.kind || ' to ' || b.kind
  FROM scope JOIN shop.order_events e ON e.order_id = scope.id
  JOIN shop.order_events b ON b.order_id = e.order_id AND b.seq > e.seq
 WHERE b.kind IN ('reserved', 'awaiting_payment', 'payment_processing', 'paid', 'fulfilled', 'dispatched',
                  'rejected', 'cancelled', 'refunded')  -- its own moves; others tell of its money
   AND (e.kind IN ('dispatched', 'rejected', 'cancelled', 'refunded') AND b.kind <> 'refunded'
    OR (e.kind = 'refunded' AND b.kind = 'refunded')
    OR (e.kind = 'fulfilled' AND b.kind NOT IN ('dispatched', 'refunded')));
