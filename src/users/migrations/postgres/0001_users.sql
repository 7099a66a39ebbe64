-- Lists and free-form data are JSON in text columns, read and written as a whole. (JSONB refuses "\u0000", which is
-- valid JSON.) The collation makes logins sort as they do in SQLite and in Rust.
CREATE TABLE folkmoot_users (
    login         TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    username      TEXT,
    department    TEXT,
    phone         TEXT,
    age           BIGINT,
    groups        TEXT    NOT NULL DEFAULT '[]',
    roles         TEXT    NOT NULL DEFAULT '[]',
    hubs          TEXT    NOT NULL DEFAULT '[]',
    data          TEXT    NOT NULL DEFAULT '{}',
    disabled      BOOLEAN NOT NULL DEFAULT FALSE,
    demo          BOOLEAN NOT NULL DEFAULT FALSE,
    password_hash TEXT    NOT NULL
);

-- One row. Triggers raise it, so that it also tells of changes that somebody makes by hand.
CREATE TABLE folkmoot_users_revision (
    only_row BIGINT NOT NULL PRIMARY KEY CHECK (only_row = 1),
    revision BIGINT NOT NULL
);
INSERT INTO folkmoot_users_revision (only_row, revision) VALUES (1, 0);

-- Once a statement and not once a row: raising one row for each of 100,000 users would take quadratic time.
CREATE FUNCTION folkmoot_users_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM changed) THEN
        UPDATE folkmoot_users_revision SET revision = revision + 1;
    END IF;
    RETURN NULL;
END
$$;
CREATE FUNCTION folkmoot_users_truncated() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE folkmoot_users_revision SET revision = revision + 1;
    RETURN NULL;
END
$$;

CREATE TRIGGER folkmoot_users_inserted AFTER INSERT ON folkmoot_users
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION folkmoot_users_changed();
CREATE TRIGGER folkmoot_users_updated AFTER UPDATE ON folkmoot_users
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION folkmoot_users_changed();
CREATE TRIGGER folkmoot_users_deleted AFTER DELETE ON folkmoot_users
    REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION folkmoot_users_changed();
CREATE TRIGGER folkmoot_users_truncated AFTER TRUNCATE ON folkmoot_users
    FOR EACH STATEMENT EXECUTE FUNCTION folkmoot_users_truncated();
