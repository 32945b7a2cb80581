-- Functions, their versions and aliases. Times are milliseconds since 1970; digests are hexadecimal.

-- Outlives the functions: a number is never given twice to one name, not even after the function was
-- deleted and made anew.
CREATE TABLE version_sequence (
    name TEXT PRIMARY KEY,
    last INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE function (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    -- Named on the command line: gone with the next start.
    fleeting INTEGER NOT NULL,
    reserved_concurrency INTEGER,
    recursive_loop_allowed INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE INDEX function_fleeting ON function (id) WHERE fleeting;
CREATE INDEX function_reserved ON function (reserved_concurrency) WHERE reserved_concurrency IS NOT NULL;

-- Of functions, and of other resources that are told apart by the last part of their ARN.
CREATE TABLE tag (
    resource TEXT NOT NULL,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (resource, key)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER function_untagged AFTER DELETE ON function BEGIN
    DELETE FROM tag WHERE resource = 'function:' || old.name;
END;

CREATE TABLE version (
    -- Never reused, so that whoever holds an old content never takes it for a new one.
    instance INTEGER PRIMARY KEY AUTOINCREMENT,
    function INTEGER NOT NULL REFERENCES function (id) ON DELETE CASCADE,
    -- 0 is $LATEST.
    number INTEGER NOT NULL,
    code_sha256 TEXT,
    code_size_bytes INTEGER NOT NULL,
    -- Pending, or with an update in progress.
    unsettled INTEGER NOT NULL,
    -- Everything else, as JSON.
    record TEXT NOT NULL,
    -- Environment variables, sealed; absent when there are none.
    variables BLOB,
    UNIQUE (function, number)
) STRICT;

CREATE INDEX version_code ON version (code_sha256) WHERE code_sha256 IS NOT NULL;
CREATE INDEX version_unsettled ON version (instance) WHERE unsettled;
CREATE INDEX version_sealed ON version (instance) WHERE variables IS NOT NULL;

-- Packages of the layers of a version: it keeps them, also when the layer is deleted.
CREATE TABLE version_layer (
    instance INTEGER NOT NULL REFERENCES version (instance) ON DELETE CASCADE,
    code_sha256 TEXT NOT NULL,
    PRIMARY KEY (instance, code_sha256)
) STRICT, WITHOUT ROWID;

CREATE INDEX version_layer_code ON version_layer (code_sha256);

CREATE TABLE alias (
    function INTEGER NOT NULL REFERENCES function (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    number INTEGER NOT NULL,
    additional_number INTEGER,
    additional_weight REAL,
    description TEXT NOT NULL,
    revision_id TEXT NOT NULL,
    PRIMARY KEY (function, name),
    CHECK ((additional_number IS NULL) = (additional_weight IS NULL)),
    -- What an alias points to cannot be deleted. Checked at commit, for a function goes with both.
    FOREIGN KEY (function, number) REFERENCES version (function, number) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (function, additional_number) REFERENCES version (function, number) DEFERRABLE INITIALLY DEFERRED
) STRICT, WITHOUT ROWID;

CREATE INDEX alias_number ON alias (function, number);
CREATE INDEX alias_additional_number ON alias (function, additional_number);

-- One row, kept by triggers: the quotas are asked about with every write.
CREATE TABLE usage (
    functions INTEGER NOT NULL,
    code_size_bytes INTEGER NOT NULL
) STRICT;
INSERT INTO usage VALUES (0, 0);

CREATE TRIGGER function_counted AFTER INSERT ON function BEGIN
    UPDATE usage SET functions = functions + 1;
END;
CREATE TRIGGER function_discounted AFTER DELETE ON function BEGIN
    UPDATE usage SET functions = functions - 1;
END;
CREATE TRIGGER version_weighed AFTER INSERT ON version BEGIN
    UPDATE usage SET code_size_bytes = code_size_bytes + new.code_size_bytes;
END;
CREATE TRIGGER version_lifted AFTER DELETE ON version BEGIN
    UPDATE usage SET code_size_bytes = code_size_bytes - old.code_size_bytes;
END;

-- Tells the right key from a wrong one: one word, sealed.
CREATE TABLE key_check (
    sealed BLOB NOT NULL
) STRICT;
