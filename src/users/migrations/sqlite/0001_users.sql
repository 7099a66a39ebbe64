-- Lists and free-form data are JSON in text columns, read and written as a whole.
CREATE TABLE folkmoot_users (
    login         TEXT    NOT NULL PRIMARY KEY,
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

CREATE TRIGGER folkmoot_users_inserted AFTER INSERT ON folkmoot_users
BEGIN
    UPDATE folkmoot_users_revision SET revision = revision + 1;
END;
CREATE TRIGGER folkmoot_users_updated AFTER UPDATE ON folkmoot_users
BEGIN
    UPDATE folkmoot_users_revision SET revision = revision + 1;
END;
CREATE TRIGGER folkmoot_users_deleted AFTER DELETE ON folkmoot_users
BEGIN
    UPDATE folkmoot_users_revision SET revision = revision + 1;
END;
