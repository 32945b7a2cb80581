-- Event source mappings. They outlive the function they feed, as on AWS, so they name it and no more.

CREATE TABLE event_source_mapping (
    uuid TEXT PRIMARY KEY,
    function_name TEXT NOT NULL,
    qualifier TEXT,
    event_source_arn TEXT,
    last_modified_ms INTEGER NOT NULL,
    -- Members of AWS's model, as JSON.
    record TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX event_source_mapping_function ON event_source_mapping (function_name, uuid);
CREATE INDEX event_source_mapping_source ON event_source_mapping (event_source_arn, uuid);

CREATE TRIGGER event_source_mapping_untagged AFTER DELETE ON event_source_mapping BEGIN
    DELETE FROM tag WHERE resource = 'event-source-mapping:' || old.uuid;
END;
