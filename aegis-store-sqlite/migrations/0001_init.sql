-- What is queried is a column; `document` is the whole entity and what reads answer with.
--
-- Instants are microseconds since 1970, ids are their 16 bytes, flags are 0 or 1.

pragma application_id = 0x41656769; -- "Aegi"

create table job (
    id blob not null primary key,
    version integer not null check (version > 0),
    tenant text not null,
    cluster text not null,
    policy blob,
    location text not null,
    status text not null check
        (status in ('pending', 'in_progress', 'completed', 'partially_failed', 'failed', 'cancelled')),
    live integer not null,
    hidden integer not null,
    priority integer not null,
    at integer not null,
    due_at integer,
    document text not null
) strict;
create index job_tenant on job (tenant, at, id);
create index job_cluster on job (cluster, at, id);
create index job_cluster_status on job (cluster, status, at, id);
create index job_policy on job (policy, at, id) where policy is not null;
create index job_live on job (cluster, at, id) where live = 1;
create index job_live_policy on job (policy, at, id) where live = 1 and policy is not null;
create index job_queue on job (cluster, priority desc, at, id) where status = 'pending';
create index job_running on job (at, id) where status = 'in_progress';
create index job_due on job (cluster, due_at) where due_at is not null;

create table record (
    id blob not null primary key,
    version integer not null check (version > 0),
    tenant text not null,
    cluster text not null,
    policy blob,
    chain blob not null,
    status text not null check
        (status in ('available', 'expired', 'deleting', 'deleted')),
    at integer not null,
    due_at integer,
    stored integer not null,
    document text not null
) strict;
create index record_tenant on record (tenant, at, id);
create index record_cluster on record (cluster, at, id);
create index record_cluster_status on record (cluster, status, at, id);
create index record_cluster_present on record (cluster, at, id) where status <> 'deleted';
create index record_policy on record (policy, at, id) where policy is not null;
create index record_policy_present on record (policy, at, id) where status <> 'deleted' and policy is not null;
create index record_chain on record (chain, at, id);
create index record_leaving on record (cluster, at, id) where status in ('expired', 'deleting');
create index record_due on record (cluster, due_at) where due_at is not null;

create table plan (
    id blob not null primary key,
    version integer not null check (version > 0),
    tenant text not null,
    cluster text not null,
    record blob not null,
    status text not null check
        (status in ('pending', 'approved', 'executing', 'completed', 'failed', 'cancelled')),
    at integer not null,
    document text not null
) strict;
create index plan_tenant on plan (tenant, at, id);
create index plan_cluster on plan (cluster, at, id);
create index plan_record on plan (record, at, id);

create table execution (
    id blob not null primary key,
    version integer not null check (version > 0),
    tenant text not null,
    cluster text not null,
    plan blob not null,
    status text not null check
        (status in ('executing', 'completed', 'partially_failed', 'failed', 'cancelled')),
    at integer not null,
    ended_at integer,
    document text not null
) strict;
create index execution_tenant on execution (tenant, at, id);
create index execution_cluster on execution (cluster, at, id);
create index execution_plan on execution (plan, at, id);
create index execution_active on execution (cluster, at, id) where status = 'executing';

create table policy (
    id blob not null primary key,
    version integer not null check (version > 0),
    tenant text not null,
    cluster text not null,
    enabled integer not null,
    at integer not null,
    document text not null
) strict;
create index policy_tenant on policy (tenant, at, id);
create index policy_cluster on policy (cluster, at, id);

create table policy_state (
    policy blob not null primary key,
    version integer not null check (version > 0),
    tenant text not null,
    cluster text not null,
    due_at integer,
    document text not null
) strict;
create index policy_state_tenant on policy_state (tenant, policy);
create index policy_state_cluster on policy_state (cluster, policy);
create index policy_state_due on policy_state (cluster, due_at, policy) where due_at is not null;

create table slot (
    policy blob not null,
    at integer not null,
    version integer not null check (version > 0),
    tenant text not null,
    document text not null,
    primary key (policy, at)
) strict;
create index slot_tenant on slot (tenant, at, policy);
create index slot_at on slot (at, policy);

create table verification (
    id blob not null primary key,
    version integer not null check (version > 0),
    tenant text not null,
    cluster text not null,
    record blob not null,
    status text not null check
        (status in ('running', 'passed', 'failed', 'not_run')),
    at integer not null,
    document text not null
) strict;
create index verification_tenant on verification (tenant, at, id);
create index verification_cluster on verification (cluster, at, id);
create index verification_record on verification (record, at, id);
create index verification_active on verification (cluster, at, id) where status = 'running';

create table dr_test (
    id blob not null primary key,
    version integer not null check (version > 0),
    tenant text not null,
    cluster text not null,
    policy blob,
    record blob,
    status text not null check
        (status in ('running', 'passed', 'failed', 'not_run')),
    at integer not null,
    ended_at integer,
    document text not null
) strict;
create index dr_test_tenant on dr_test (tenant, at, id);
create index dr_test_cluster on dr_test (cluster, at, id);
create index dr_test_policy on dr_test (policy, at, id) where policy is not null;
create index dr_test_record on dr_test (record, at, id) where record is not null;
create index dr_test_active on dr_test (cluster, at, id) where status = 'running';

create table retention_run (
    id blob not null primary key,
    version integer not null check (version > 0),
    tenant text not null,
    cluster text not null,
    policy blob,
    at integer not null,
    document text not null
) strict;
create index retention_run_tenant on retention_run (tenant, at, id);
create index retention_run_cluster on retention_run (cluster, at, id);
create index retention_run_policy on retention_run (policy, at, id) where policy is not null;

create table cluster_state (
    cluster text not null primary key,
    version integer not null check (version > 0),
    document text not null
) strict;

create table reservation (
    key text not null primary key,
    version integer not null check (version > 0),
    tenant text not null,
    due_at integer,
    document text not null
) strict;
create index reservation_tenant on reservation (tenant);
create index reservation_due on reservation (due_at) where due_at is not null;

-- Ids of changesets that were applied, for a day.
create table changeset (
    id blob not null primary key,
    applied_at integer not null
) strict, without rowid;
create index changeset_age on changeset (applied_at);

-- The event log: what is not sealed yet, in commit order, and what is.
create table event_tail (
    seq integer primary key autoincrement,
    tenant text,
    document text not null
) strict;

create table event (
    position integer primary key,
    tenant text,
    hash blob not null,
    document text not null
) strict;
create index event_tenant on event (tenant, position);

-- The newest link of each chain; the tenant '' stands for what belongs to none.
create table chain (
    tenant text not null primary key,
    head blob not null,
    position integer not null
) strict, without rowid;

-- The newest grant of each lease, by the store's own clock; no holder once it was given back.
create table lease (
    name text not null primary key,
    generation integer not null,
    holder text,
    granted_at integer not null,
    expires_at integer not null
) strict, without rowid;

create table reader (
    name text not null primary key,
    position integer not null
) strict, without rowid;

-- What readers of the log derived from it.
create table derived (
    reader text not null,
    tenant text not null,
    key text not null,
    document text not null,
    primary key (reader, tenant, key)
) strict;

create table progress (
    operation blob not null primary key,
    noted_at integer not null,
    document text not null
) strict;
create index progress_age on progress (noted_at);
