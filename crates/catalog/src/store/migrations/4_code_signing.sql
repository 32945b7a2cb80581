-- Code signing configurations, and which function uses which.

CREATE TABLE code_signing_config (
    id TEXT PRIMARY KEY,
    -- Everything else, as JSON.
    record TEXT NOT NULL
) STRICT, WITHOUT ROWID;

ALTER TABLE function ADD COLUMN code_signing_config TEXT REFERENCES code_signing_config (id);

CREATE INDEX function_code_signing_config ON function (code_signing_config, name)
    WHERE code_signing_config IS NOT NULL;

CREATE TRIGGER code_signing_config_untagged AFTER DELETE ON code_signing_config BEGIN
    DELETE FROM tag WHERE resource = 'code-signing-config:' || old.id;
END;
