-- The participant who holds the role of one: what is given for it reaches their record, in the one trial of `trials`.
ALTER TABLE token   ADD COLUMN participant BLOB CHECK (participant IS NULL OR role = 'participant' AND length(participant) = 16);
ALTER TABLE account ADD COLUMN participant BLOB CHECK (participant IS NULL OR role = 'participant' AND length(participant) = 16);
