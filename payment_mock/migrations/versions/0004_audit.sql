-- For whoever audits: what a session was charged and given back, and what was written lately.

CREATE INDEX ledger_of_session ON payments.ledger (session_id);
CREATE INDEX ledger_by_time ON payments.ledger (at);
