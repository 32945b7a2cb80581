-- What is attached to one version or alias of a function. `qualifier` is the last part of its ARN;
-- '$LATEST' stands for the function itself, too.

CREATE TABLE policy_statement (
    function INTEGER NOT NULL REFERENCES function (id) ON DELETE CASCADE,
    qualifier TEXT NOT NULL,
    -- In the order they were added.
    position INTEGER NOT NULL,
    sid TEXT NOT NULL,
    statement TEXT NOT NULL,
    PRIMARY KEY (function, qualifier, position),
    UNIQUE (function, qualifier, sid)
) STRICT, WITHOUT ROWID;

CREATE TABLE provisioned_concurrency (
    function INTEGER NOT NULL REFERENCES function (id) ON DELETE CASCADE,
    qualifier TEXT NOT NULL,
    requested INTEGER NOT NULL,
    last_modified_ms INTEGER NOT NULL,
    PRIMARY KEY (function, qualifier)
) STRICT, WITHOUT ROWID;

CREATE TABLE event_invoke (
    function INTEGER NOT NULL REFERENCES function (id) ON DELETE CASCADE,
    qualifier TEXT NOT NULL,
    maximum_retry_attempts INTEGER,
    maximum_event_age_s INTEGER,
    on_success TEXT,
    on_failure TEXT,
    last_modified_ms INTEGER NOT NULL,
    PRIMARY KEY (function, qualifier)
) STRICT, WITHOUT ROWID;

CREATE TABLE runtime_management (
    function INTEGER NOT NULL REFERENCES function (id) ON DELETE CASCADE,
    qualifier TEXT NOT NULL,
    -- As JSON.
    record TEXT NOT NULL,
    PRIMARY KEY (function, qualifier)
) STRICT, WITHOUT ROWID;

-- The URL of an alias outlives the alias: callers are then forbidden to use it, as on AWS.
CREATE TABLE function_url (
    id TEXT PRIMARY KEY,
    function INTEGER NOT NULL REFERENCES function (id) ON DELETE CASCADE,
    qualifier TEXT NOT NULL,
    -- Everything else, as JSON.
    record TEXT NOT NULL,
    UNIQUE (function, qualifier)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER version_detached AFTER DELETE ON version WHEN old.number > 0 BEGIN
    DELETE FROM policy_statement WHERE function = old.function AND qualifier = CAST(old.number AS TEXT);
    DELETE FROM provisioned_concurrency WHERE function = old.function AND qualifier = CAST(old.number AS TEXT);
    DELETE FROM event_invoke WHERE function = old.function AND qualifier = CAST(old.number AS TEXT);
    DELETE FROM runtime_management WHERE function = old.function AND qualifier = CAST(old.number AS TEXT);
END;

CREATE TRIGGER alias_detached AFTER DELETE ON alias BEGIN
    DELETE FROM policy_statement WHERE function = old.function AND qualifier = old.name;
    DELETE FROM provisioned_concurrency WHERE function = old.function AND qualifier = old.name;
    DELETE FROM event_invoke WHERE function = old.function AND qualifier = old.name;
END;
