BEGIN;
CREATE TABLE credential (
    kind        INTEGER NOT NULL CHECK (kind IN (0, 1)),
    name        TEXT    NOT NULL,
    incarnation BLOB    NOT NULL CHECK (length(incarnation) = 16),
    generation  INTEGER NOT NULL,
    revision    INTEGER NOT NULL,
    due_at      INTEGER,
    live        INTEGER NOT NULL CHECK (live IN (0, 1)),
    sealed      BLOB    NOT NULL,
    PRIMARY KEY (kind, name)
) STRICT;
CREATE TABLE set_aside (
    number      INTEGER PRIMARY KEY,
    kind        ANY,
    name        ANY,
    incarnation ANY,
    generation  ANY,
    revision    ANY,
    due_at      ANY,
    live        ANY,
    sealed      ANY
) STRICT;
CREATE TRIGGER logout AFTER UPDATE ON credential WHEN NEW.live = 0 BEGIN
    DELETE FROM set_aside WHERE kind = NEW.kind AND name = NEW.name
        AND (incarnation, revision) IS NOT (OLD.incarnation, OLD.revision);
END;
PRAGMA application_id = 0x52474E54;
PRAGMA user_version = 1;
COMMIT;
INSERT INTO credential VALUES (0, '', x'01010101010101010101010101010101', 1, 1, NULL, 1, CAST('the key' AS BLOB));
INSERT INTO credential VALUES (1, 'default', x'07070707070707070707070707070707', 3, 3, 1700000000000, 1, CAST('sealed by the first release' AS BLOB));
INSERT INTO set_aside VALUES (1, 1, 'default', x'06060606060606060606060606060606', 2, 2, NULL, 1, CAST('no key opens this' AS BLOB));
