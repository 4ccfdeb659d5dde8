-- The same orders' sessions at the payment service, and what was paid and given back there.
INSERT INTO payments.sessions (id, status, payment_status, amount_total, amount_refunded, currency, line_items,
                               metadata, success_url, created_at, expires_at, payment_intent, charge, paid_at,
                               closed_at, client_reference_id)
SELECT session, CASE WHEN paid THEN 'complete' ELSE 'expired' END, CASE WHEN paid THEN 'paid' ELSE 'unpaid' END,
       total, CASE status WHEN 'refunded' THEN total ELSE 0 END, currency, '[]',
       jsonb_build_object('order_id', id), 'https://shop.example/', at, at + interval '15 minutes',
       CASE WHEN paid THEN 'pi_' || mark END, CASE WHEN paid THEN 'ch_' || mark END,
       CASE WHEN paid THEN at + interval '1 minute' END, at + interval '2 minutes', checkout_key
  FROM past WHERE session IS NOT NULL;

INSERT INTO payments.ledger (id, session_id, kind, amount, currency, at)
SELECT 'ch_' || mark, session, 'charge', total, currency, at + interval '1 minute' FROM past WHERE paid
UNION ALL
SELECT 're_' || mark, session, 'refund', total, currency, at + interval '2 minutes'
  FROM past WHERE status = 'refunded';

INSERT INTO payments.refunds (id, session_id, amount, reason, created_at)
SELECT 're_' || mark, session, total, 'requested_by_customer', at + interval '2 minutes'
  FROM past WHERE status = 'refunded';
