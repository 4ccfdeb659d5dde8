-- Reads the shop and, for the audit, the payment service's ledger; ends operators' sessions and writes nothing else.
-- Stock and catalogue it changes by the schema's own functions only.
GRANT USAGE ON SCHEMA shop TO {role};
GRANT SELECT ON ALL TABLES IN SCHEMA shop TO {role};
GRANT EXECUTE ON FUNCTION
    shop.audited(text[], bigint[], text[], timestamptz, text),
    shop.restock(text, bigint),
    shop.write_off(text, bigint, text),
    shop.put_product(text, text, text, text, bigint, text),
    shop.set_withdrawn(text, boolean)
    TO {role};
GRANT INSERT, DELETE ON shop.ended_sessions TO {role};

-- The ledger's tables that are there, and those still to come.
DO $payments$
DECLARE
    its_owner text := (SELECT pg_get_userbyid(nspowner) FROM pg_namespace WHERE nspname = 'payments');
BEGIN
    IF its_owner IS NOT NULL THEN
        GRANT USAGE ON SCHEMA payments TO {role};
        GRANT SELECT ON ALL TABLES IN SCHEMA payments TO {role};
        EXECUTE format('ALTER DEFAULT PRIVILEGES FOR ROLE %I IN SCHEMA payments GRANT SELECT ON TABLES TO %s',
                       its_owner, $role${role}$role$);
    END IF;
END $payments$;
