-- Layers: a sequence of numbers by name, and the versions that are still there.

CREATE TABLE layer (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    -- Numbers are not given twice, so a layer outlives its last version.
    last INTEGER NOT NULL
) STRICT;

CREATE TABLE layer_version (
    layer INTEGER NOT NULL REFERENCES layer (id),
    number INTEGER NOT NULL,
    code_sha256 TEXT NOT NULL,
    code_size_bytes INTEGER NOT NULL,
    -- Statements in the order they were added, as a JSON array; both absent when there are none.
    policy TEXT,
    policy_revision_id TEXT,
    -- Everything else, as JSON.
    record TEXT NOT NULL,
    PRIMARY KEY (layer, number)
) STRICT, WITHOUT ROWID;

CREATE INDEX layer_version_code ON layer_version (code_sha256);

CREATE TRIGGER layer_version_weighed AFTER INSERT ON layer_version BEGIN
    UPDATE usage SET code_size_bytes = code_size_bytes + new.code_size_bytes;
END;
CREATE TRIGGER layer_version_lifted AFTER DELETE ON layer_version BEGIN
    UPDATE usage SET code_size_bytes = code_size_bytes - old.code_size_bytes;
END;
