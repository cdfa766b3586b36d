"""The tables of the memory store, version by version. Add a step for a change; never edit one."""

from __future__ import annotations

NAME = "memory"
TABLES = ("memory_owners", "memory_sessions", "memory_records", "memory_edits", "memory_facts")

# An owner is a tenant's user, under a digest: the row stays after everything was forgotten, so that `ticks`
# (rows and versions) are never used twice and `generation` never falls back.
# A tick is the row of a record, and a session's version is the tick of what was written to it last: one
# number and one index say where a record stands in its session, and what came after a given row.
# `base` is the version of the session that a row was written on, `token` the call of `write` that wrote it.
STEPS = (
    (
        """CREATE TABLE memory_owners (
          id {serial}, owner TEXT NOT NULL UNIQUE, ticks BIGINT NOT NULL, generation BIGINT NOT NULL
        )""",
        """CREATE TABLE memory_sessions (
          id {serial}, owner_id BIGINT NOT NULL,
          tenant TEXT NOT NULL, "user" TEXT NOT NULL, session TEXT NOT NULL, version BIGINT NOT NULL,
          records BIGINT NOT NULL, edits BIGINT NOT NULL, first TEXT NOT NULL, last TEXT NOT NULL,
          written BIGINT NOT NULL, UNIQUE (tenant, "user", session)
        )""",
        """CREATE TABLE memory_records (
          session_id BIGINT NOT NULL, tick BIGINT NOT NULL, base BIGINT NOT NULL, token BIGINT NOT NULL,
          key TEXT NOT NULL, body TEXT NOT NULL, PRIMARY KEY (session_id, tick)
        )""",
        "CREATE UNIQUE INDEX memory_records_key ON memory_records (session_id, key) WHERE key <> ''",
        """CREATE TABLE memory_edits (
          session_id BIGINT NOT NULL, tick BIGINT NOT NULL, base BIGINT NOT NULL, token BIGINT NOT NULL,
          body TEXT NOT NULL, PRIMARY KEY (session_id, tick)
        )""",
        """CREATE TABLE memory_facts (
          id {serial}, owner_id BIGINT NOT NULL,
          tenant TEXT NOT NULL, "user" TEXT NOT NULL, session TEXT NOT NULL,
          subject TEXT NOT NULL, digest TEXT NOT NULL, body TEXT NOT NULL, UNIQUE (owner_id, digest)
        )""",
        "CREATE INDEX memory_facts_subject ON memory_facts (owner_id, subject)",
    ),
)
