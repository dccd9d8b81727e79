-- What the service may do with each table of the key database, and nothing besides. After `trialseal migrate`, at the beginning
-- and with every new version, as the owner or a superuser:
--
--     psql --dbname trialseal_keys --set ON_ERROR_STOP=1 --file keys.sql

REVOKE ALL ON ALL TABLES IN SCHEMA public FROM PUBLIC, trialseal_service, trialseal_backup;
GRANT SELECT ON ALL TABLES IN SCHEMA public TO trialseal_backup;

-- A destroyed key loses its wrapped form. Its row stays, so that nobody can give its scope another key.
GRANT SELECT, INSERT, UPDATE ON data_key, former_data_key, master_key TO trialseal_service;

-- Which version the tables are of.
GRANT SELECT ON _sqlx_migrations TO trialseal_service;
