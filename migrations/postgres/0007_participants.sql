-- The participant who holds the role of one: what is given for it reaches their record, in the one trial of `trials`.
ALTER TABLE token   ADD COLUMN participant UUID CHECK (participant IS NULL OR role = 'participant');
ALTER TABLE account ADD COLUMN participant UUID CHECK (participant IS NULL OR role = 'participant');
