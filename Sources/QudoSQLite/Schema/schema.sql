-- The tables of a queue's file as they are now. A test holds them against what the migrations in Schema.swift make,
-- which is all that runs. Instants are microseconds since 1970 in UTC, unless it says "since boot".

-- A row for each migration that the file has been through.
CREATE TABLE qudo_schema(
  version INTEGER PRIMARY KEY,
  applied_at INTEGER NOT NULL,
  lowest_reader INTEGER NOT NULL,     -- a Qudo that knows this version or a later one may read the file
  lowest_writer INTEGER NOT NULL);

-- Facts about the file: name, generation, origin, highest_id, unsynced, receipt_cursor, and next_id during an EnqueueScript.
CREATE TABLE qudo_info(key TEXT PRIMARY KEY, value) WITHOUT ROWID;

-- A number for each kind that ever had a job. Rows are never deleted.
CREATE TABLE qudo_kind(
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  on_final_failure INTEGER);          -- qudo_kind: the kind of the job that a final failure enqueues; NULL: none

-- Each live job once. JobTable has three statements that insert one, ImportTables and EnqueueScript have one each.
-- A claim does not change its row: qudo_ready, qudo_delayed or qudo_running says where it is.
CREATE TABLE qudo_job(
  id INTEGER PRIMARY KEY,             -- never used again: see highest_id in qudo_info
  kind INTEGER NOT NULL,              -- qudo_kind
  rank INTEGER NOT NULL,              -- the negated priority, so that a higher priority sorts first
  due INTEGER NOT NULL,
  enqueued INTEGER NOT NULL,
  attempt INTEGER NOT NULL,           -- of the next or current run, from 1
  lost INTEGER NOT NULL,              -- expired leases since the last retry
  state INTEGER NOT NULL,             -- always 0
  codec INTEGER NOT NULL,             -- 0 raw, 1 JSON, 2 property list, 3 MessagePack, others: CodecID
  unique_key TEXT,
  unique_scope INTEGER,               -- 0: until finished, 1: until started; NULL: the job holds no key, or no longer
  concurrency_key TEXT,               -- ConcurrencyKey; NULL: none
  expires INTEGER,                    -- when the job leaves if it still waits; NULL: never
  meta BLOB,                          -- JobMetadata; NULL if empty
  payload BLOB NOT NULL);
CREATE UNIQUE INDEX qudo_job_unique ON qudo_job(kind, unique_key) WHERE unique_scope IS NOT NULL;
CREATE INDEX qudo_job_expires ON qudo_job(expires) WHERE expires IS NOT NULL;

-- The ready jobs of each kind in claim order. A row is the ids from first to last, all with this sort key.
CREATE TABLE qudo_ready(
  kind INTEGER NOT NULL,
  rank INTEGER NOT NULL,
  due INTEGER NOT NULL,               -- that of qudo_job; for a job with a place in qudo_group, the place
  last INTEGER NOT NULL,              -- in the key, because claims remove ids from the front
  first INTEGER NOT NULL,
  PRIMARY KEY(kind, rank, due, last)) WITHOUT ROWID;

-- The jobs that are not due, and due ones that no claim has promoted.
CREATE TABLE qudo_delayed(
  due INTEGER NOT NULL,
  id INTEGER NOT NULL,
  kind INTEGER NOT NULL,
  rank INTEGER NOT NULL,
  written INTEGER,                    -- when a relative delay was set: later than now means that the clock was set back
  PRIMARY KEY(due, id)) WITHOUT ROWID;
CREATE INDEX qudo_delayed_written ON qudo_delayed(written) WHERE written IS NOT NULL;

-- The leases. A row is the ids from first to last, claimed together.
CREATE TABLE qudo_running(
  instance INTEGER NOT NULL,          -- qudo_instance: the holder
  ends INTEGER NOT NULL,              -- when the lease expires, since boot
  last INTEGER NOT NULL,
  first INTEGER NOT NULL,
  token INTEGER NOT NULL,             -- random for each claim; it alone decides whether a lease is valid
  lost_limit INTEGER NOT NULL,        -- JobPolicy.maxExpiredLeases
  claimed_at INTEGER NOT NULL,
  lease INTEGER NOT NULL,             -- the lease duration in microseconds: no lease ends later than this from now
  PRIMARY KEY(instance, ends, last)) WITHOUT ROWID;

-- The running jobs that are to be cancelled. Usually empty.
CREATE TABLE qudo_cancellation(
  job INTEGER PRIMARY KEY,
  at INTEGER NOT NULL,
  reason TEXT);                       -- the message for the failure log

-- The paused kinds, which are not claimed. Usually empty.
CREATE TABLE qudo_pause(
  kind INTEGER PRIMARY KEY,           -- qudo_kind; 0: everything
  paused_at INTEGER NOT NULL,
  ends INTEGER,                       -- NULL: never
  reason TEXT);

-- The token buckets of kinds with a rate. Usually empty.
CREATE TABLE qudo_rate(
  kind INTEGER PRIMARY KEY,           -- qudo_kind
  full_at INTEGER NOT NULL,           -- when the bucket is full if nothing is taken
  written_at INTEGER NOT NULL,        -- later than now means that the clock was set back
  spacing INTEGER NOT NULL,           -- the time after which it gains a token, in microseconds
  throttled_until INTEGER NOT NULL);  -- no job begins before

-- The places of the admitted jobs of concurrency keys, written and removed with the jobs. Usually empty.
CREATE TABLE qudo_admitted(
  kind INTEGER NOT NULL,              -- qudo_kind
  key TEXT NOT NULL,                  -- concurrency_key of qudo_job
  job INTEGER NOT NULL,
  PRIMARY KEY(kind, key, job)) WITHOUT ROWID;

-- The held jobs, which are in none of the tables above: at least as many places are taken as their key's limit allows, or it is stopped.
CREATE TABLE qudo_held(
  kind INTEGER NOT NULL,
  key TEXT NOT NULL,
  id INTEGER NOT NULL,
  written INTEGER,                    -- as in qudo_delayed, for the delay after the admission
  PRIMARY KEY(kind, key, id)) WITHOUT ROWID;

-- The rules of the concurrency keys that jobs have, other than a limit of 1 without a rate that goes on after failures.
CREATE TABLE qudo_key(
  kind INTEGER NOT NULL,
  key TEXT NOT NULL,
  most INTEGER NOT NULL,
  stops INTEGER NOT NULL,             -- 1: a final failure stops the key
  rate TEXT,                          -- such as 10/60000000/10: count, period in microseconds, burst; NULL: none
  PRIMARY KEY(kind, key)) WITHOUT ROWID;

-- The token buckets of the concurrency keys that have a rate, and of those that had one, until they are full. Usually empty.
CREATE TABLE qudo_key_rate(
  kind INTEGER NOT NULL,
  key TEXT NOT NULL,
  rate TEXT,                          -- that of qudo_key; NULL: the key has no rate any more, or no job
  full_at INTEGER NOT NULL,           -- this and the next three as in qudo_rate
  written_at INTEGER NOT NULL,
  spacing INTEGER NOT NULL,
  throttled_until INTEGER NOT NULL,
  PRIMARY KEY(kind, key)) WITHOUT ROWID;
CREATE INDEX qudo_key_rate_full ON qudo_key_rate(full_at) WHERE rate IS NULL;

-- The final failures that stop a concurrency key: no held job of it is admitted. Usually empty.
CREATE TABLE qudo_stop(
  failure INTEGER PRIMARY KEY,        -- qudo_failure, which may have pruned it
  kind INTEGER NOT NULL,
  key TEXT NOT NULL,
  job INTEGER NOT NULL,               -- the job that failed
  at INTEGER NOT NULL);
CREATE INDEX qudo_stop_key ON qudo_stop(kind, key);

-- The throttles of the unique keys of live jobs, and the keys that rest since their job completed. Usually empty.
CREATE TABLE qudo_rest(
  job INTEGER PRIMARY KEY,
  kind INTEGER NOT NULL,              -- qudo_kind
  key TEXT NOT NULL,                  -- unique_key of the job
  throttle INTEGER NOT NULL,          -- how long the key rests, in microseconds
  ends INTEGER);                      -- until when it rests; NULL: the job is live
CREATE INDEX qudo_rest_key ON qudo_rest(kind, key) WHERE ends IS NOT NULL;
CREATE INDEX qudo_rest_ends ON qudo_rest(ends) WHERE ends IS NOT NULL;

-- The groups of live jobs, and of those without one while others of their kind have one; usually empty.
CREATE TABLE qudo_group(
  job INTEGER PRIMARY KEY,
  kind INTEGER NOT NULL,              -- qudo_kind
  rank INTEGER NOT NULL,              -- that of the place
  grp TEXT NOT NULL,                  -- '': the job has no group
  place INTEGER);                     -- due in qudo_ready, which the job keeps while it runs; NULL: it is delayed or held
CREATE INDEX qudo_group_place ON qudo_group(kind, grp, rank, place) WHERE place IS NOT NULL;

-- The schedules: which jobs to enqueue when. Schedulers work the ticks out; see ScheduleDriver.
CREATE TABLE qudo_schedule(
  name TEXT PRIMARY KEY,
  kind INTEGER NOT NULL,              -- qudo_kind
  rule TEXT NOT NULL,                 -- such as: cron 30 2 * * * UTC
  missed TEXT NOT NULL,               -- which ticks are made up for
  skips_overlap INTEGER NOT NULL,     -- 1: no job while last_job waits or runs
  rank INTEGER NOT NULL,
  next_tick INTEGER,                  -- NULL: paused, or no more ticks
  last_tick INTEGER,
  last_job INTEGER,
  paused INTEGER NOT NULL,
  reason TEXT,
  version INTEGER NOT NULL,           -- rises with each write: who read an earlier one writes nothing
  changed_at INTEGER NOT NULL,
  codec INTEGER NOT NULL,
  meta BLOB,
  payload BLOB NOT NULL) WITHOUT ROWID;
CREATE INDEX qudo_schedule_next ON qudo_schedule(next_tick) WHERE next_tick IS NOT NULL;

-- The open drivers that have claimed jobs.
CREATE TABLE qudo_instance(
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  boot TEXT NOT NULL,                 -- the boot id that its clock read
  locked INTEGER NOT NULL,            -- 1: it holds the kernel lock on byte id of the -lock file while it lives
  pid INTEGER NOT NULL,
  opened_at INTEGER NOT NULL);

-- The failure log.
CREATE TABLE qudo_failure(
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  job INTEGER NOT NULL,
  kind INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  failed_at INTEGER NOT NULL,
  reason INTEGER NOT NULL,            -- 0 failed, 1 lost, 2 aborted, 3 cancelled, 4 expired, 5 dropped
  final INTEGER NOT NULL,             -- 1: the job left the tables with this failure
  message TEXT NOT NULL,
  rank INTEGER NOT NULL,
  unique_key TEXT,
  codec INTEGER,
  meta BLOB,
  payload BLOB,                       -- NULL for a retried run whose payload is that of an earlier row of its job
  replayed_as INTEGER,                -- the job that a replay enqueued; 0: unknown; -1: none, the failure is resolved
  unique_scope INTEGER,               -- NULL with a key: written by version 1
  concurrency_key TEXT,
  concurrency_limit INTEGER,          -- when the job failed; NULL: 1
  grp TEXT,                           -- the job's group; NULL: none
  concurrency_stops INTEGER,          -- 1: a final failure stopped the key; NULL: none did
  concurrency_rate TEXT);             -- that of qudo_key when the job failed; NULL: none
CREATE INDEX qudo_failure_kind ON qudo_failure(kind, id);
CREATE INDEX qudo_failure_job ON qudo_failure(job);
CREATE INDEX qudo_failure_key ON qudo_failure(kind, unique_key, job) WHERE unique_key IS NOT NULL;

-- The status log, for runs that ask for it.
CREATE TABLE qudo_status(
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  job INTEGER NOT NULL,
  kind INTEGER NOT NULL,
  status INTEGER NOT NULL,            -- 0 completed, 1 replaced, 2 failed, 3 aborted
  started_at INTEGER NOT NULL,
  ended_at INTEGER NOT NULL,
  unique_key TEXT,
  codec INTEGER,
  payload BLOB);
CREATE INDEX qudo_status_kind ON qudo_status(kind, id);
CREATE INDEX qudo_status_job ON qudo_status(job);
CREATE INDEX qudo_status_key ON qudo_status(kind, unique_key, job) WHERE unique_key IS NOT NULL;

-- Idempotency keys, which outlive their jobs.
CREATE TABLE qudo_receipt(key BLOB PRIMARY KEY, job INTEGER NOT NULL, expires INTEGER NOT NULL) WITHOUT ROWID;

-- The imported rows. Each row maps a row of an old database to the row that it became here.
CREATE TABLE qudo_import_source(name TEXT PRIMARY KEY, id INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE qudo_import(
  source INTEGER NOT NULL,            -- qudo_import_source
  origin INTEGER NOT NULL,            -- the old table
  old INTEGER NOT NULL,
  new INTEGER NOT NULL,
  print INTEGER NOT NULL,             -- a fingerprint of the old row
  PRIMARY KEY(source, origin, old)) WITHOUT ROWID;
