-- The ledger: what was read, what it means in credits, who was told.
--
-- Every table of facts is keyed by account. Instants are milliseconds since the Unix epoch, UTC. Amounts are integer millionths
-- of a credit. Where a team is '' the charge belongs to no team. NULL means unknown, and unknown is never 0.
-- Only portable types are used: BIGINT, TEXT, DOUBLE PRECISION, BLOB.

-- The accounts of the configuration, each with what makes its ledger its own.
CREATE TABLE ledger_accounts (
    id         INTEGER PRIMARY KEY,
    name       TEXT   NOT NULL UNIQUE,
    -- 16 random bytes, drawn once. They go into the fingerprints of inputs, so that nobody can test a guess at a prompt.
    salt       BLOB   NOT NULL,
    -- What teams and selectors looked like when charges were last given to teams. When it differs, that is done again.
    draws      TEXT   NOT NULL DEFAULT ''
);

-- One row for each launch on the platform, as last seen. The amounts are sums of its entries.
CREATE TABLE tasks (
    account_id  BIGINT NOT NULL REFERENCES ledger_accounts (id),
    id          TEXT   NOT NULL,
    team        TEXT   NOT NULL,
    created_at  BIGINT NOT NULL,
    started_at  BIGINT,
    finished_at BIGINT,
    -- queued, running, succeeded, failed, cancelled, expired or unknown; a final state never goes back.
    state       TEXT   NOT NULL,
    -- Kind and quality stay as first seen: counters are kept by them, and a counter must not fall.
    task_type   TEXT   NOT NULL,
    quality     TEXT   NOT NULL,
    variants    BIGINT,
    charged     BIGINT NOT NULL,
    refunded    BIGINT NOT NULL,
    -- What it cost in the end, once the platform has said so.
    settled     BIGINT,
    -- Of charged, what was taken for it again: at least as much as before each time.
    charged_again BIGINT NOT NULL DEFAULT 0,
    -- The most that the platform ever said came back.
    said_refunded BIGINT NOT NULL DEFAULT 0,
    -- 1 for a sum of many tasks, such as a day's use, or a charge that was derived from balances.
    is_sum      BIGINT NOT NULL DEFAULT 0,
    -- Who launched it, from which the team follows. named_team is a team that the record itself named.
    named_team  TEXT,
    project     TEXT,
    member      TEXT,
    api_key     TEXT,
    -- Salted hash of the asset's name or the input, 16 bytes. Neither is ever kept.
    fingerprint BLOB,
    -- 1 for a task that continues an earlier one: progress, not a retry.
    is_step     BIGINT NOT NULL,
    -- rerun or resubmission, if it repeats an earlier task, and the credits counted for that so far; and what the platform
    -- or an import said of it, which wins over what is inferred.
    told_retry    TEXT,
    retry         TEXT,
    retry_credits BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (account_id, id)
) WITHOUT ROWID;

-- A team's tasks by launch, with the amounts, so that the use of an exact interval is read from the index alone.
CREATE INDEX tasks_by_launch ON tasks (account_id, team, created_at, charged, refunded);
-- Attempts at the same input.
CREATE INDEX tasks_by_input ON tasks (account_id, fingerprint) WHERE fingerprint IS NOT NULL;
-- Tasks that are not final: what is charged for them, and how far back they reach. There are few of them at any time. The
-- state and the launch are in it so that the index holds all that is asked for; without, SQLite reads every task of the
-- account instead.
CREATE INDEX tasks_pending ON tasks (account_id, team, state, created_at, charged, refunded)
    WHERE state IN ('queued', 'running', 'unknown');
-- Second attempts, by input: what they cost and how many there were of each.
CREATE INDEX tasks_retried ON tasks (account_id, team, created_at, retry, fingerprint, charged, refunded)
    WHERE retry IS NOT NULL;
-- Tasks that ended badly and were charged for, until that comes back.
CREATE INDEX tasks_unrefunded ON tasks (account_id, team, created_at, state, finished_at, charged, refunded)
    WHERE state IN ('failed', 'cancelled', 'expired') AND charged > refunded;
-- Tasks whose charges cannot be right. There should be none.
CREATE INDEX tasks_suspect ON tasks (account_id, team, created_at, charged, charged_again, said_refunded)
    WHERE charged_again > 0 OR said_refunded > charged;

-- Tasks that were charged for once and of which nothing came back, by kind: what a launch costs. All that is asked for is in
-- it, what all of them have in common too; without, SQLite looks each of them up.
CREATE INDEX tasks_priced
    ON tasks (account_id, task_type, quality, created_at, variants, charged, team, state, is_sum, refunded, charged_again)
    WHERE state = 'succeeded' AND is_sum = 0 AND charged > 0 AND refunded = 0 AND charged_again = 0;

-- The ledger proper: rows are only ever added. The team of a charge is its task's.
CREATE TABLE entries (
    id         INTEGER PRIMARY KEY,
    account_id BIGINT NOT NULL REFERENCES ledger_accounts (id),
    -- The same event read twice has the same key.
    key        TEXT   NOT NULL,
    -- charge, refund, grant, expiry, reset or adjustment.
    kind       TEXT   NOT NULL,
    -- When it happened by the platform's clock, and when we saw it by ours.
    at         BIGINT NOT NULL,
    seen_at    BIGINT NOT NULL,
    credits    BIGINT NOT NULL,
    task_id    TEXT,
    -- reported by the platform, derived from balances, or estimated from a table of prices.
    basis      TEXT   NOT NULL,
    UNIQUE (account_id, key)
);

-- An account's entries in the order of their rows, for who asks what was added since. Without it SQLite walks all of the
-- account's entries by their keys.
CREATE INDEX entries_in_order ON entries (account_id, id);
-- What came in, lapsed or was set anew. There are few of them among many charges.
CREATE INDEX entries_others ON entries (account_id, at, kind, credits, key)
    WHERE kind IN ('grant', 'expiry', 'reset', 'adjustment');

-- Net use by team and hour of launch: what forecasts read. Follows from tasks.
CREATE TABLE hourly_use (
    account_id BIGINT NOT NULL REFERENCES ledger_accounts (id),
    team       TEXT   NOT NULL,
    -- Whole hours since the Unix epoch.
    hour       BIGINT NOT NULL,
    net        BIGINT NOT NULL,
    -- Tasks with net use above zero.
    charges    BIGINT NOT NULL,
    PRIMARY KEY (account_id, team, hour)
) WITHOUT ROWID;

-- Counters by team, kind and quality: what metrics read. They follow from tasks and never fall.
CREATE TABLE totals (
    account_id BIGINT NOT NULL REFERENCES ledger_accounts (id),
    team       TEXT   NOT NULL,
    task_type  TEXT   NOT NULL,
    quality    TEXT   NOT NULL,
    charged    BIGINT NOT NULL,
    refunded   BIGINT NOT NULL,
    finished   BIGINT NOT NULL,
    failed     BIGINT NOT NULL,
    -- Launches of which it is known what they attempt.
    attempts   BIGINT NOT NULL,
    PRIMARY KEY (account_id, team, task_type, quality)
) WITHOUT ROWID;

-- Retries by team and kind. tasks and credits follow from the tasks table and may fall, when an older page shows that a
-- retry was of the other kind; the highest values so far are what counters show.
CREATE TABLE retries (
    account_id      BIGINT NOT NULL REFERENCES ledger_accounts (id),
    team            TEXT   NOT NULL,
    task_type       TEXT   NOT NULL,
    kind            TEXT   NOT NULL,
    tasks           BIGINT NOT NULL,
    credits         BIGINT NOT NULL,
    highest_tasks   BIGINT NOT NULL,
    highest_credits BIGINT NOT NULL,
    PRIMARY KEY (account_id, team, task_type, kind)
) WITHOUT ROWID;

-- The last balance read, and how far it agrees with the entries.
CREATE TABLE balances (
    account_id    BIGINT PRIMARY KEY REFERENCES ledger_accounts (id),
    read_at       BIGINT NOT NULL,
    available     BIGINT NOT NULL,
    plan          BIGINT,
    purchased     BIGINT,
    frozen        BIGINT,
    -- The first reading.
    opened_at     BIGINT NOT NULL,
    baseline_at   BIGINT NOT NULL,
    drift         BIGINT,
    granted       BIGINT NOT NULL,
    expired       BIGINT NOT NULL,
    awaited_reset BIGINT,
    -- Charges less refunds that came into the ledger after this reading: those since baseline_at, how much of them was
    -- estimated, and those between opened_at and baseline_at.
    net_since       BIGINT NOT NULL,
    estimated_since BIGINT NOT NULL,
    late_since      BIGINT NOT NULL
);

-- Every balance that differed from the one read before it, so that what was left at any time can be looked up.
CREATE TABLE balance_readings (
    account_id BIGINT NOT NULL REFERENCES ledger_accounts (id),
    read_at    BIGINT NOT NULL,
    available  BIGINT NOT NULL,
    plan       BIGINT,
    purchased  BIGINT,
    frozen     BIGINT,
    PRIMARY KEY (account_id, read_at)
) WITHOUT ROWID;

-- What the platform last said of the plan.
CREATE TABLE plans (
    account_id BIGINT PRIMARY KEY REFERENCES ledger_accounts (id),
    read_at    BIGINT NOT NULL,
    name       TEXT,
    allowance  BIGINT,
    resets_at  BIGINT
);

-- The last queue read.
CREATE TABLE queue_states (
    account_id        BIGINT PRIMARY KEY REFERENCES ledger_accounts (id),
    read_at           BIGINT NOT NULL,
    waiting           BIGINT NOT NULL,
    running           BIGINT NOT NULL,
    task_limit        BIGINT,
    oldest_waiting_at BIGINT
);

-- How reading goes: one row for balance, charges, queue and plan each.
CREATE TABLE collector_states (
    account_id            BIGINT NOT NULL REFERENCES ledger_accounts (id),
    collector             TEXT   NOT NULL,
    last_attempt_at       BIGINT NOT NULL,
    last_success_at       BIGINT,
    last_duration_seconds DOUBLE PRECISION,
    -- Why the last try failed: the reason as in metrics, and the text. Both NULL if it succeeded.
    failure_reason        TEXT,
    failure_message       TEXT,
    PRIMARY KEY (account_id, collector)
) WITHOUT ROWID;

-- Files of watched folders that were imported, as they looked then: one that looks the same is not read again.
CREATE TABLE imported_files (
    account_id  BIGINT NOT NULL REFERENCES ledger_accounts (id),
    name        TEXT   NOT NULL,
    bytes       BIGINT NOT NULL,
    modified_at BIGINT NOT NULL,
    imported_at BIGINT NOT NULL,
    -- Why it could not be read; NULL if it was.
    failure     TEXT,
    PRIMARY KEY (account_id, name)
) WITHOUT ROWID;

-- What leads announced: a change of pace, or a planned batch. Rows are only added; one that is taken back says by whom.
CREATE TABLE announcements (
    id           INTEGER PRIMARY KEY,
    account_id   BIGINT NOT NULL REFERENCES ledger_accounts (id),
    team         TEXT   NOT NULL,
    -- What the usual pace is multiplied by; NULL for a batch.
    factor       DOUBLE PRECISION,
    begins_at    BIGINT NOT NULL,
    ends_at      BIGINT NOT NULL,
    -- What a batch costs: one in ten less, as likely more as less, one in ten more. NULL for a change of pace.
    low          BIGINT,
    likely       BIGINT,
    high         BIGINT,
    note         TEXT   NOT NULL,
    announced_by TEXT   NOT NULL,
    announced_at BIGINT NOT NULL,
    withdrawn_by TEXT,
    withdrawn_at BIGINT
);

-- Those that count: of the past too, because use of that time is understood by them.
CREATE INDEX announcements_standing ON announcements (account_id, team, ends_at) WHERE withdrawn_at IS NULL;

-- Estimates that somebody kept, to be compared with what was charged. An open one is followed at each assessment; what is
-- closed is final.
CREATE TABLE estimates (
    id              INTEGER PRIMARY KEY,
    account_id      BIGINT NOT NULL REFERENCES ledger_accounts (id),
    team            TEXT   NOT NULL,
    label           TEXT   NOT NULL,
    made_by         TEXT   NOT NULL,
    made_at         BIGINT NOT NULL,
    -- Launches of this time count for it.
    starts_at       BIGINT NOT NULL,
    lapses_at       BIGINT NOT NULL,
    -- What it was to cost, and how many launches it was to take where that was known: one in ten less, as likely more as
    -- less, one in ten more.
    low             BIGINT NOT NULL,
    likely          BIGINT NOT NULL,
    high            BIGINT NOT NULL,
    launches_low    BIGINT,
    launches_likely BIGINT,
    launches_high   BIGINT,
    -- 1 if it will be launched, so that forecasts reckon with it; and who said so when.
    is_planned      BIGINT NOT NULL,
    planned_by      TEXT,
    planned_at      BIGINT,
    -- open, met, lapsed or withdrawn; the columns below are NULL while it is open.
    state           TEXT   NOT NULL,
    closed_at       BIGINT,
    -- Who took it back.
    closed_by       TEXT,
    -- Net credits and number of the launches that counted for it, and how many of the assets asked for had succeeded.
    charged         BIGINT,
    tasks           BIGINT,
    assets          BIGINT
);

-- They are few at any time, and asked for at each assessment.
CREATE INDEX estimates_open ON estimates (account_id, team) WHERE state = 'open';
CREATE INDEX estimates_closed ON estimates (account_id, team, closed_at) WHERE state <> 'open';

-- The lines of those estimates, with a row for each task type that a line stood for when it was asked.
CREATE TABLE estimate_lines (
    estimate_id   BIGINT NOT NULL REFERENCES estimates (id),
    -- The places of the line and of the task type within it, from 0.
    line          BIGINT NOT NULL,
    part          BIGINT NOT NULL,
    -- As it was asked; a quality or a number of attempts is NULL where none was.
    asked         TEXT   NOT NULL,
    quality       TEXT,
    variants      BIGINT NOT NULL,
    assets        BIGINT NOT NULL,
    attempts      DOUBLE PRECISION,
    task_type     TEXT   NOT NULL,
    -- Launches of an asset that must succeed.
    launches_each BIGINT NOT NULL,
    PRIMARY KEY (estimate_id, line, part)
) WITHOUT ROWID;

-- When the parts of those estimates start, and what each was to cost.
CREATE TABLE estimate_jobs (
    estimate_id BIGINT NOT NULL REFERENCES estimates (id),
    job         BIGINT NOT NULL,
    starts_at   BIGINT NOT NULL,
    low         BIGINT NOT NULL,
    likely      BIGINT NOT NULL,
    high        BIGINT NOT NULL,
    PRIMARY KEY (estimate_id, job)
) WITHOUT ROWID;

-- The launches that counted for an estimate when it was met or lapsed: they count for no other.
CREATE TABLE estimate_tasks (
    account_id  BIGINT NOT NULL REFERENCES ledger_accounts (id),
    task_id     TEXT   NOT NULL,
    estimate_id BIGINT NOT NULL REFERENCES estimates (id),
    PRIMARY KEY (account_id, task_id)
) WITHOUT ROWID;

-- How closed estimates ended: what metrics read. It follows from estimates and never falls.
CREATE TABLE estimate_totals (
    account_id BIGINT NOT NULL REFERENCES ledger_accounts (id),
    team       TEXT   NOT NULL,
    outcome    TEXT   NOT NULL,
    estimates  BIGINT NOT NULL,
    -- What they were to cost (median), and what was charged.
    expected   BIGINT NOT NULL,
    charged    BIGINT NOT NULL,
    PRIMARY KEY (account_id, team, outcome)
) WITHOUT ROWID;

-- Which alerts nobody is told of for a time. Not keyed by account: the matchers may span several.
CREATE TABLE silences (
    id         INTEGER PRIMARY KEY,
    -- As they are printed: alert="exhaustion" team=~"env-.*"
    matchers   TEXT   NOT NULL,
    starts_at  BIGINT NOT NULL,
    ends_at    BIGINT NOT NULL,
    -- When it is over: ends_at, or expired_at if somebody ended it before.
    over_at    BIGINT NOT NULL,
    created_by TEXT   NOT NULL,
    -- With which token of the API it came; NULL from the command line.
    token      TEXT,
    comment    TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    expired_by TEXT,
    expired_at BIGINT
);

-- Those that stand or were over not long ago. They are few among all of the past, and asked for at each assessment; all that
-- is asked for is in the index.
CREATE INDEX silences_by_end ON silences (over_at, id, expired_at);

-- The last scheduled (not actual) time of each job, so that a restart neither repeats nor forgets a run.
CREATE TABLE schedules (
    job          TEXT PRIMARY KEY,
    scheduled_at BIGINT NOT NULL
);

-- The life of each alert: a rule, a draw (account and team) and a plan period.
CREATE TABLE alerts (
    account_id   BIGINT NOT NULL REFERENCES ledger_accounts (id),
    team         TEXT   NOT NULL,
    rule         TEXT   NOT NULL,
    -- 0 for an account without periods.
    period_start BIGINT NOT NULL,
    episode      BIGINT NOT NULL,
    -- inactive, pending, firing or resolved; the columns below are NULL where the state has no use for them.
    state        TEXT   NOT NULL,
    -- The stage, and the threshold within it, of now or at its worst.
    stage        TEXT,
    step         BIGINT,
    since        BIGINT,
    clear_since  BIGINT,
    -- What people last heard: NULL if nobody has heard of the episode.
    told_at      BIGINT,
    told_stage   TEXT,
    told_step    BIGINT,
    -- The number that was told, in the rule's own unit.
    told_figure  BIGINT,
    ended_at     BIGINT,
    -- resolved or plan_reset, while people are still to hear that it is over.
    untold       TEXT,
    PRIMARY KEY (account_id, team, rule, period_start)
) WITHOUT ROWID;

-- What fires, of all accounts at once.
CREATE INDEX alerts_firing ON alerts (account_id, team, rule, stage) WHERE state = 'firing';
-- Those of a period, and those that have something ahead of them, of whichever.
CREATE INDEX alerts_by_period ON alerts (account_id, period_start);
CREATE INDEX alerts_open ON alerts (account_id) WHERE state IN ('firing', 'pending') OR untold IS NOT NULL;

-- What was decided to be told. The key makes a second decision on the same thing impossible.
CREATE TABLE notices (
    id           INTEGER PRIMARY KEY,
    account_id   BIGINT NOT NULL REFERENCES ledger_accounts (id),
    team         TEXT   NOT NULL,
    rule         TEXT   NOT NULL,
    period_start BIGINT NOT NULL,
    episode      BIGINT NOT NULL,
    stage        TEXT   NOT NULL,
    step         BIGINT NOT NULL,
    -- opened, worsened, repeated, resolved or plan_reset.
    why          TEXT   NOT NULL,
    -- An episode may be repeated many times, each at its own moment; everything else happens once, and has 0 here.
    repeated_at  BIGINT NOT NULL,
    period_end   BIGINT,
    at           BIGINT NOT NULL,
    UNIQUE (account_id, team, rule, period_start, episode, stage, step, why, repeated_at)
);

-- Digests and signs of life that were made, each for the time it was scheduled for: the key makes a second one impossible.
CREATE TABLE reports (
    -- digest or heartbeat.
    kind         TEXT   NOT NULL,
    -- '' for one that is for no team.
    team         TEXT   NOT NULL,
    scheduled_at BIGINT NOT NULL,
    made_at      BIGINT NOT NULL,
    PRIMARY KEY (kind, team, scheduled_at)
) WITHOUT ROWID;

-- Messages to send: one row for each notice, channel and recipient, with the whole message as decided then; and one for
-- each message that takes the place of several. Closed rows are deleted after a month; outbox_totals goes on counting them.
CREATE TABLE outbox (
    id              INTEGER PRIMARY KEY,
    -- What it tells: of several notices of one conversation the newest. NULL for what collects several, and for a report.
    notice_id       BIGINT REFERENCES notices (id),
    -- email, or another way to tell.
    channel         TEXT   NOT NULL,
    -- notice, superseding (several notices of one conversation), collected (of several conversations) or report.
    kind            TEXT   NOT NULL,
    sender          TEXT   NOT NULL,
    recipient       TEXT   NOT NULL,
    -- Derived from notice and recipient, or from the messages whose place it takes: every try carries the same.
    message_id      TEXT   NOT NULL UNIQUE,
    -- The conversation: the same for all that tell of one episode. Empty for what collects several.
    thread          TEXT   NOT NULL,
    subject         TEXT   NOT NULL,
    -- What it says in one line, with its time.
    summary         TEXT   NOT NULL,
    -- 1 for a critical alert that is true: it passes the hourly cap.
    is_urgent       BIGINT NOT NULL,
    -- waiting, sent, failed or merged.
    state           TEXT   NOT NULL,
    -- The message that tells it in its place.
    merged_into     BIGINT REFERENCES outbox (id) ON DELETE SET NULL,
    attempts        BIGINT NOT NULL,
    -- When the newest and the oldest of what it tells were decided.
    created_at      BIGINT NOT NULL,
    oldest_at       BIGINT NOT NULL,
    -- From when its age counts: as created_at, or when a person had it tried anew.
    tried_from      BIGINT NOT NULL,
    -- When to try next. Claiming a message moves this ahead, so that a sender that dies leaves it to be tried again.
    next_attempt_at BIGINT NOT NULL,
    -- 1 while a sender has it: next_attempt_at is then the end of a lease, and no waiting time after a failure.
    is_claimed      BIGINT NOT NULL DEFAULT 0,
    -- 1 while it waits because its recipient has had enough for now, and not because it cannot be delivered.
    is_held         BIGINT NOT NULL DEFAULT 0,
    -- When it was sent, given up or merged.
    closed_at       BIGINT,
    -- Why the last try failed: the reason as in metrics, and the text.
    failure_reason  TEXT,
    last_error      TEXT,
    -- The parts of the newest notice's message as they are read, for one that may take its place; NULL once it is sent or
    -- merged. They come last: what stands before them is read without them.
    body_text       TEXT,
    body_html       TEXT,
    message         BLOB   NOT NULL
);

CREATE INDEX outbox_due ON outbox (channel, is_urgent, next_attempt_at) WHERE state = 'waiting';
CREATE INDEX outbox_waiting ON outbox (channel, recipient, is_held, oldest_at) WHERE state = 'waiting';
-- What a recipient was sent within an hour and a day.
CREATE INDEX outbox_sent ON outbox (channel, recipient, closed_at) WHERE state = 'sent';
CREATE INDEX outbox_failed ON outbox (closed_at) WHERE state = 'failed';
CREATE INDEX outbox_closed ON outbox (closed_at) WHERE state <> 'waiting';
-- What a message tells in the place of others.
CREATE INDEX outbox_merged ON outbox (merged_into) WHERE merged_into IS NOT NULL;

-- How many messages were closed so far, deleted ones among them.
CREATE TABLE outbox_totals (
    channel        TEXT   NOT NULL,
    state          TEXT   NOT NULL,
    messages       BIGINT NOT NULL,
    last_closed_at BIGINT NOT NULL,
    PRIMARY KEY (channel, state)
) WITHOUT ROWID;

-- Channels whose last failure concerned every message. A channel that works has no row.
CREATE TABLE channel_pauses (
    channel TEXT   PRIMARY KEY,
    -- Left alone until then. NULL: it is tried with one message at a time until one is accepted.
    until   BIGINT,
    -- Pauses without a success in between.
    strikes BIGINT NOT NULL,
    reason  TEXT   NOT NULL,
    error   TEXT   NOT NULL
);
