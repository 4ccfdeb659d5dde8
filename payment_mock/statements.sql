-- The payment service's statements, each by its name; `:name` is a value that it is given. Every one is a transaction of
-- its own.

-- can_write: so many numbers do not fit into so little memory, and go to the disk, should there be room
DO $$ BEGIN
    IF current_setting('transaction_read_only') = 'on' THEN
        RAISE read_only_sql_transaction USING MESSAGE = 'this session may not write';
    END IF;
    PERFORM set_config('work_mem', '64kB', true);
    PERFORM count(*) FROM generate_series(1, 8000);
END $$

-- sessions: and what stands behind each, a payment intent and a charge
SELECT s.*, s.created_at AS created FROM payments.sessions s

-- refunds: with what they have from their payment
SELECT r.*, r.created_at AS created, s.currency, s.payment_intent, s.charge
FROM payments.refunds r JOIN payments.sessions s ON s.id = r.session_id

-- disputes: likewise
SELECT d.*, d.created_at AS created, s.currency, s.payment_intent, s.charge
FROM payments.disputes d JOIN payments.sessions s ON s.id = d.session_id

-- events: with the count of their deliveries still to come
SELECT e.*, (SELECT count(*) FROM payments.deliveries d WHERE d.event_id = e.id AND d.status = 'pending') AS pending
FROM payments.events e

-- create: a session, and what its key is to remember
WITH remembered AS ({remember})
INSERT INTO payments.sessions (id, amount_total, currency, line_items, client_reference_id, metadata,
    payment_intent_metadata, customer_email, payment_method_types, success_url, cancel_url, webhook_url,
    created_at, expires_at)
VALUES (:id, :amount_total, :currency, :line_items, :client_reference_id, :metadata, :payment_intent_metadata,
    :customer_email, :payment_method_types, :success_url, :cancel_url, :webhook_url, :created, :expires_at)
RETURNING id

-- change: a session whose version is still the one that was read, and all that belongs to the change
WITH changed AS (
    UPDATE payments.sessions SET version = version + 1, status = :status, payment_status = :payment_status,
        payment_method = :payment_method, payment_intent = :payment_intent, charge = :charge,
        decline_code = :decline_code, amount_refunded = :amount_refunded, dispute_status = :dispute_status, paid_at = :paid_at,
        closed_at = CASE WHEN :status = 'open' THEN NULL ELSE coalesce(closed_at, clock_timestamp()) END
    WHERE id = :id AND version = :version AND (NOT :in_time OR expires_at > clock_timestamp())
    RETURNING id, currency, webhook_url
), entered AS (
    INSERT INTO payments.ledger (id, session_id, kind, amount, currency)
    SELECT e.id, changed.id, e.kind, e.amount, changed.currency
    FROM changed, jsonb_to_recordset(:entries) AS e(id text, kind text, amount bigint)
), refunded AS (
    INSERT INTO payments.refunds (id, session_id, amount, reason, metadata, created_at, status, failure_reason)
    SELECT r.id, changed.id, r.amount, r.reason, r.metadata, to_timestamp(r.created), r.status, r.failure_reason
    FROM changed, jsonb_to_recordset(:refunds) AS r(id text, amount bigint, reason text, metadata jsonb,
        created bigint, status text, failure_reason text)
    ON CONFLICT (id) DO UPDATE SET status = excluded.status, failure_reason = excluded.failure_reason
), disputed AS (
    INSERT INTO payments.disputes (id, session_id, amount, reason, status, created_at, due_by, has_evidence)
    SELECT d.id, changed.id, d.amount, d.reason, d.status, to_timestamp(d.created), d.due_by, d.has_evidence
    FROM changed, jsonb_to_recordset(:disputes) AS d(id text, amount bigint, reason text, status text,
        created bigint, due_by bigint, has_evidence boolean)
    ON CONFLICT (id) DO UPDATE SET status = excluded.status, has_evidence = excluded.has_evidence
), postponed AS (
    INSERT INTO payments.later (subject, status, due_at)
    SELECT l.key, l.value, now() + make_interval(secs => :patience) FROM changed, jsonb_each_text(:later) AS l
), recorded AS (
    INSERT INTO payments.events (id, type, session_id, payload)
    SELECT e.value->>'id', e.value->>'type', changed.id, e.value::text FROM changed, json_array_elements(:events) AS e
    RETURNING id, type
), queued AS (
    -- What the webhook endpoint is subscribed to. The rest is recorded for GET /v1/events only.
    INSERT INTO payments.deliveries (event_id, url, next_attempt_at)
    SELECT recorded.id, changed.webhook_url, now() FROM changed, recorded
    WHERE recorded.type ~ '^(checkout\.session|refund|charge\.dispute)\.'
        OR recorded.type IN ('charge.refunded', 'payment_intent.payment_failed')
), remembered AS ({remember} WHERE EXISTS (SELECT FROM changed))
SELECT id FROM changed

-- answer: only what a key is to remember
{remember} RETURNING key

-- remember: the part of the three above that stores answers
INSERT INTO payments.idempotency_keys (key, endpoint, fingerprint, status, body, request_id)
SELECT a.key, a.endpoint, a.fingerprint, a.status, convert_to(a.body, 'UTF8'), a.request_id
FROM jsonb_to_recordset(:answers) AS a(key text, endpoint text, fingerprint text, status smallint, body text,
    request_id text)

-- answer_otherwise: in the place of what a key remembers, if anything
{remember} ON CONFLICT (key) DO UPDATE SET status = excluded.status, body = excluded.body

-- recall: what a key remembers
SELECT endpoint, fingerprint, status, body, request_id FROM payments.idempotency_keys WHERE key = :key

-- forget: keys, after 24 hours, as Stripe may
DELETE FROM payments.idempotency_keys WHERE created_at < now() - interval '24 hours'

-- over: sessions whose time is
SELECT id FROM payments.sessions WHERE status = 'open' AND expires_at <= now() ORDER BY expires_at LIMIT 100

-- due: what is to come by itself
SELECT id, subject, status FROM payments.later WHERE due_at <= now() ORDER BY due_at LIMIT 100

-- happened: something of that
DELETE FROM payments.later WHERE id = :id

-- claim: deliveries that are due. Two processes that look at once take different rows (SKIP LOCKED); the lease keeps
-- others away while one is at it.
WITH due AS (
    SELECT id FROM payments.deliveries WHERE status = 'pending' AND next_attempt_at <= now()
    ORDER BY next_attempt_at LIMIT :limit FOR UPDATE SKIP LOCKED
), leased AS (
    UPDATE payments.deliveries d SET next_attempt_at = now() + make_interval(secs => :lease)
    FROM due WHERE d.id = due.id RETURNING d.id, d.event_id, d.url, d.attempts
)
SELECT leased.id, leased.event_id, leased.url, leased.attempts, e.type AS event_type, e.payload, e.session_id,
    s.client_reference_id, s.metadata->>'order_id' AS order_id
FROM leased JOIN payments.events e ON e.id = leased.event_id LEFT JOIN payments.sessions s ON s.id = e.session_id

-- ended: a delivery, by its last attempt
UPDATE payments.deliveries SET status = :status, attempts = attempts + 1, last_status = :code, last_error = NULL,
    next_attempt_at = now(), delivered_at = now()
WHERE id = :id AND status = 'pending'

-- postponed: a delivery, after an attempt or without one
UPDATE payments.deliveries SET attempts = attempts + :attempts, last_status = :code, last_error = :error,
    next_attempt_at = now() + make_interval(secs => :delay)
WHERE id = :id AND status = 'pending'

-- reclaim: whatever an earlier life had under lease. With other processes alive this may send an event twice, which "at
-- least once" allows; waiting for their leases would delay every recovery instead.
UPDATE payments.deliveries SET next_attempt_at = now() WHERE status = 'pending'

-- resend: an event that was delivered
INSERT INTO payments.deliveries (event_id, url, next_attempt_at)
SELECT event_id, url, now() FROM payments.deliveries WHERE event_id = :event_id LIMIT 1 RETURNING id

-- plant: a fault
INSERT INTO payments.faults (rule) VALUES (:rule) RETURNING id

-- planted: all of them
SELECT id, fired, rule FROM payments.faults ORDER BY id

-- fired: some of them
UPDATE payments.faults SET fired = fired + 1 WHERE id = ANY(:ids)

-- remove: one of them, or all
DELETE FROM payments.faults WHERE CAST(:id AS bigint) IS NULL OR id = :id RETURNING id
