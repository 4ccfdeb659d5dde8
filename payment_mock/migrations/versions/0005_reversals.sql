-- What happens to money after it was taken: refunds that fail later, disputes; and payments that take days.

ALTER TABLE payments.sessions
    ADD COLUMN dispute_status text,
    DROP CONSTRAINT paid_means_charged,
    ADD CONSTRAINT paid_means_charged CHECK (payment_status <> 'paid' OR charge IS NOT NULL),
    ADD CONSTRAINT only_a_complete_session_is_charged CHECK (charge IS NULL OR status = 'complete');

ALTER TABLE payments.refunds
    ADD COLUMN status text NOT NULL DEFAULT 'succeeded'
        CHECK (status IN ('pending', 'requires_action', 'succeeded', 'failed', 'canceled')),
    ADD COLUMN failure_reason text;

CREATE TABLE payments.disputes (
    id text PRIMARY KEY,
    seq bigint GENERATED ALWAYS AS IDENTITY,
    session_id text NOT NULL UNIQUE REFERENCES payments.sessions,
    amount bigint NOT NULL CHECK (amount > 0),
    reason text NOT NULL,
    status text NOT NULL CHECK (status IN ('warning_needs_response', 'warning_under_review', 'warning_closed',
        'needs_response', 'under_review', 'won', 'lost')),
    created_at timestamptz NOT NULL,
    due_by bigint NOT NULL,
    has_evidence boolean NOT NULL
);

-- Refunds that failed and disputes that were won give the shop its money again.
ALTER TABLE payments.ledger
    DROP CONSTRAINT ledger_kind_check,
    ADD CONSTRAINT ledger_kind_check
        CHECK (kind IN ('charge', 'refund', 'refund_failure', 'dispute', 'dispute_reversal'));

CREATE OR REPLACE FUNCTION payments.refunds_within_charge() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM 1 FROM payments.sessions WHERE id = NEW.session_id FOR UPDATE;
    IF (SELECT coalesce(sum(CASE WHEN kind = 'refund' THEN -amount ELSE amount END), 0) FROM payments.ledger
        WHERE session_id = NEW.session_id AND kind IN ('charge', 'refund', 'refund_failure')) < 0 THEN
        RAISE EXCEPTION 'refunds of session % exceed its charge', NEW.session_id USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$;

-- What becomes of something by itself, after a while.
CREATE TABLE payments.later (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    subject text NOT NULL,
    status text NOT NULL,
    due_at timestamptz NOT NULL
);

CREATE INDEX later_due ON payments.later (due_at);
