-- Opens and moves orders, reserves and returns stock. Deletes nothing, alters no schema; of what is there it writes
-- only the columns that ever change.
GRANT USAGE ON SCHEMA shop TO {role};
GRANT SELECT ON ALL TABLES IN SCHEMA shop TO {role};
GRANT INSERT ON
    shop.orders, shop.order_lines, shop.reservations, shop.stock_movements, shop.order_events,
    shop.payments, shop.refunds, shop.refund_lines, shop.disputes
    TO {role};
GRANT UPDATE (on_hand) ON shop.products TO {role};
GRANT UPDATE (status, reason, payment_session_id, payment_url, simulator_url, payment_intent_id, fulfilled_at,
              dispatch_due_at, processing_until, event_count) ON shop.orders TO {role};
GRANT UPDATE (state) ON shop.reservations TO {role};
GRANT UPDATE (state, version, look_at, looks, check_at) ON shop.payments TO {role};
GRANT UPDATE (provider_refund_id, state, requires_action, failure_reason, changed_at) ON shop.refunds TO {role};
GRANT UPDATE (restocked) ON shop.refund_lines TO {role};
GRANT UPDATE (amount, state, reason, evidence_due_by, changed_at) ON shop.disputes TO {role};
