-- The operator's list of fulfilled orders, newest first. They are few at any time, and without an index of theirs, of
-- those on hold as well, all orders are read to say that there are none. (Live ones have `orders_live`; of those that
-- were dispatched, nearly all, the newest are met at once.)
--
-- Orders cannot be written while it is made, a fifth of a second for a million. Who has very many makes it beforehand:
-- CREATE INDEX CONCURRENTLY orders_fulfilled ON ..., and nothing is left to do here.
CREATE INDEX IF NOT EXISTS orders_fulfilled ON shop.orders (created_at DESC, id DESC) WHERE status = 'fulfilled';
