-- Every change of a session raises its version, which is what decides between those that race. A key is written with its
-- answer. A rule is a document.

ALTER TABLE payments.sessions
    ADD COLUMN version integer NOT NULL DEFAULT 0,
    ADD COLUMN payment_method text;
UPDATE payments.sessions SET payment_method = 'pm_card_visa' WHERE payment_status = 'paid';

DROP TRIGGER key_has_answer ON payments.idempotency_keys;
DROP FUNCTION payments.key_has_answer();
ALTER TABLE payments.idempotency_keys
    ALTER COLUMN status SET NOT NULL,
    ALTER COLUMN body SET NOT NULL;

ALTER TABLE payments.faults ADD COLUMN rule jsonb;
UPDATE payments.faults SET rule = to_jsonb(faults) - '{id,fired,created_at,rule}'::text[];
ALTER TABLE payments.faults
    ALTER COLUMN rule SET NOT NULL,
    DROP COLUMN point, DROP COLUMN action, DROP COLUMN times, DROP COLUMN delay_seconds, DROP COLUMN status,
    DROP COLUMN copies, DROP COLUMN match, DROP COLUMN set;
