-- Some currencies have larger amounts (payment_mock.domain.money).

ALTER TABLE payments.sessions
    DROP CONSTRAINT sessions_amount_total_check,
    ADD CONSTRAINT sessions_amount_total_check CHECK (amount_total BETWEEN 0 AND 999999999999);
