-- What the service may do with each table of the record, and nothing besides; keys.sql says it of the key database. After `trialseal migrate`, at the beginning and with every new
-- version, as the owner or a superuser:
--
--     psql --dbname trialseal --set ON_ERROR_STOP=1 --file rights.sql
--
-- A table that is missing here cannot be used by the service at all; tests/tests/rights.rs fails for it.

REVOKE ALL ON ALL TABLES IN SCHEMA public FROM PUBLIC, trialseal_service, trialseal_backup;
GRANT SELECT ON ALL TABLES IN SCHEMA public TO trialseal_backup;

-- The record and what is published of it: added to, never changed. The triggers that say the same are the owner's.
GRANT SELECT, INSERT ON event, command, natural_key, seal, sealed_head, tree_node, checkpoint, note, note_timestamp TO trialseal_service;

-- How far the record is: one row a ledger, trial and stream.
GRANT SELECT, INSERT, UPDATE ON ledger, trial, stream TO trialseal_service;

-- Wrapped data keys of before they had a database of their own: they are moved there once.
GRANT SELECT, DELETE ON data_key TO trialseal_service;

-- Bodies under the key that took the place of a destroyed one.
GRANT SELECT, INSERT, UPDATE ON resealed_body TO trialseal_service;

-- What can be made again from the record.
GRANT SELECT, INSERT, UPDATE, DELETE ON read_model, read_model_doc TO trialseal_service;

-- Imports and exports under way.
GRANT SELECT, INSERT, UPDATE ON job TO trialseal_service;

-- Who gets in. Each grant and its end is in the record as well.
GRANT SELECT, INSERT, UPDATE ON token, account TO trialseal_service;
GRANT SELECT, INSERT, UPDATE, DELETE ON invitation, session, passkey TO trialseal_service;

-- Which version the tables are of.
GRANT SELECT ON _sqlx_migrations TO trialseal_service;
