-- Who reads: a role without a login and without a way to write, granted to people and programs (GRANT finance_reader TO ...).
-- It sees the views of schema finance and nothing else: tables hold customers.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'finance_reader') THEN
        CREATE ROLE finance_reader NOLOGIN;
    END IF;
EXCEPTION
    WHEN insufficient_privilege THEN
        RAISE EXCEPTION 'role finance_reader is not there, and this user may not make it'
            USING HINT = 'let an administrator run: CREATE ROLE finance_reader NOLOGIN';
END
$$;
CREATE SCHEMA IF NOT EXISTS finance;
GRANT USAGE ON SCHEMA finance TO finance_reader;
