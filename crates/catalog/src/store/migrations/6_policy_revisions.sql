-- A policy has a revision: that of its last write, in each of its statements. Until now it was that of what it belongs to.

ALTER TABLE policy_statement ADD COLUMN revision_id TEXT NOT NULL DEFAULT '';

UPDATE policy_statement SET revision_id = coalesce(
    (SELECT alias.revision_id FROM alias
     WHERE alias.function = policy_statement.function AND alias.name = policy_statement.qualifier),
    (SELECT json_extract(version.record, '$.revision_id') FROM version
     WHERE version.function = policy_statement.function
       AND version.number = CASE policy_statement.qualifier WHEN '$LATEST' THEN 0
                            ELSE CAST(policy_statement.qualifier AS INTEGER) END),
    '');
