-- Owns the schema `payments`, also one that was made before the payment service had a role of its own, and sees nothing
-- of the shop.
--
-- One statement for all its tables, however many: each waits for its lock no longer than `lock_timeout` allows.
SET LOCAL statement_timeout = 0;

DO $payments$
DECLARE
    its_role constant text := $role${role}$role$;
    theirs text;
BEGIN
    IF NOT (SELECT rolsuper FROM pg_roles WHERE rolname = CURRENT_USER) THEN
        GRANT {role} TO CURRENT_USER;
    END IF;
    CREATE SCHEMA IF NOT EXISTS payments AUTHORIZATION {role};
    ALTER SCHEMA payments OWNER TO {role};
    FOR theirs IN
        SELECT format('%s payments.%I', CASE c.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, c.relname)
          FROM pg_class c WHERE c.relnamespace = 'payments'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'S')
           AND c.relowner <> its_role::regrole
           AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.objid = c.oid AND d.deptype IN ('a', 'i'))
        UNION ALL
        SELECT 'FUNCTION ' || p.oid::regprocedure
          FROM pg_proc p WHERE p.pronamespace = 'payments'::regnamespace AND p.proowner <> its_role::regrole
    LOOP
        EXECUTE format('ALTER %s OWNER TO %s', theirs, its_role);
    END LOOP;
END $payments$;
