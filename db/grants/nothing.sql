-- Where every role begins: it may connect, and whatever it had of the shop is taken away.
REVOKE ALL ON DATABASE {database} FROM {role};
GRANT CONNECT ON DATABASE {database} TO {role};
REVOKE ALL ON SCHEMA shop FROM {role};
REVOKE ALL ON ALL TABLES IN SCHEMA shop FROM {role};
REVOKE ALL ON ALL SEQUENCES IN SCHEMA shop FROM {role};
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA shop FROM {role};
