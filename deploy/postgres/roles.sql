-- The users of a ledger's databases, and who owns these. Once a database, as a superuser, in the database itself:
--
--     createdb trialseal
--     psql --dbname trialseal --set ON_ERROR_STOP=1 --file roles.sql
--     createdb trialseal_keys
--     psql --dbname trialseal_keys --set ON_ERROR_STOP=1 --file roles.sql
--
-- trialseal_owner makes and changes the tables, and nothing else (`trialseal migrate`); it is not used while the service runs.
-- trialseal_service is the service: what it may do stands in rights.sql.
-- trialseal_backup reads everything, for pg_dump: data, which tell nothing without their keys, and keys, which tell nothing
-- without the master key; hashes of tokens and passwords; and in clear the login names and what stands in the headers of
-- events. Who keeps the backups of the one database should have a user of their own, and not see the other.
--
-- They log in as pg_hba.conf says. Give passwords with \password, never in a file.

DO $$
DECLARE
    name TEXT;
BEGIN
    FOREACH name IN ARRAY ARRAY ['trialseal_owner', 'trialseal_service', 'trialseal_backup'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) THEN
            EXECUTE format('CREATE ROLE %I LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS', name);
        END IF;
    END LOOP;
    EXECUTE format('ALTER DATABASE %I OWNER TO trialseal_owner', current_database());
    -- Else anybody on the server could come in, and make temporary tables.
    EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database());
    EXECUTE format('GRANT CONNECT ON DATABASE %I TO trialseal_service, trialseal_backup', current_database());
END $$;

ALTER SCHEMA public OWNER TO trialseal_owner;
REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO trialseal_service, trialseal_backup;
