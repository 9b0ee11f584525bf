-- What is queried is a column; `document` is the whole entity and what reads answer with.
--
-- Text is compared byte by byte, so that no index depends on the machine's locales. A row of version 0 is a
-- placeholder that no other transaction ever sees (see `hold_absent`); every other row is whole.

-- The clock that judges leases and ages.
create function store_now() returns timestamptz language sql volatile as 'select clock_timestamp()';

create table job (
    id uuid constraint job_key primary key,
    version bigint not null,
    tenant text collate "C",
    cluster text collate "C",
    policy uuid,
    location text collate "C",
    status text collate "C",
    live boolean,
    hidden boolean,
    priority bigint,
    at timestamptz,
    due_at timestamptz,
    document json,
    constraint job_whole check (version = 0 or
        row (tenant, cluster, location, status, live, hidden, priority, at, document) is not null),
    constraint job_status check
        (status in ('pending', 'in_progress', 'completed', 'partially_failed', 'failed', 'cancelled'))
) with (fillfactor = 85);
create index job_tenant on job (tenant, at, id);
create index job_cluster on job (cluster, at, id);
create index job_cluster_status on job (cluster, status, at, id);
create index job_policy on job (policy, at, id) where policy is not null;
create index job_live on job (cluster, at, id) where live;
create index job_live_policy on job (policy, at, id) where live and policy is not null;
create index job_queue on job (cluster, priority desc, at, id) where status = 'pending';
create index job_running on job (at, id) where status = 'in_progress';
create index job_due on job (cluster, due_at) where due_at is not null;

create table record (
    id uuid constraint record_key primary key,
    version bigint not null,
    tenant text collate "C",
    cluster text collate "C",
    policy uuid,
    chain uuid,
    status text collate "C",
    at timestamptz,
    due_at timestamptz,
    stored bigint,
    document json,
    constraint record_whole check (version = 0 or
        row (tenant, cluster, chain, status, at, stored, document) is not null),
    constraint record_status check (status in ('available', 'expired', 'deleting', 'deleted'))
) with (fillfactor = 85);
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
    id uuid constraint plan_key primary key,
    version bigint not null,
    tenant text collate "C",
    cluster text collate "C",
    record uuid,
    status text collate "C",
    at timestamptz,
    document json,
    constraint plan_whole check (version = 0 or
        row (tenant, cluster, record, status, at, document) is not null),
    constraint plan_status check
        (status in ('pending', 'approved', 'executing', 'completed', 'failed', 'cancelled'))
);
create index plan_tenant on plan (tenant, at, id);
create index plan_cluster on plan (cluster, at, id);
create index plan_record on plan (record, at, id);

create table execution (
    id uuid constraint execution_key primary key,
    version bigint not null,
    tenant text collate "C",
    cluster text collate "C",
    plan uuid,
    status text collate "C",
    at timestamptz,
    ended_at timestamptz,
    document json,
    constraint execution_whole check (version = 0 or
        row (tenant, cluster, plan, status, at, document) is not null),
    constraint execution_status check
        (status in ('executing', 'completed', 'partially_failed', 'failed', 'cancelled'))
);
create index execution_tenant on execution (tenant, at, id);
create index execution_cluster on execution (cluster, at, id);
create index execution_plan on execution (plan, at, id);
create index execution_active on execution (cluster, at, id) where status = 'executing';

create table policy (
    id uuid constraint policy_key primary key,
    version bigint not null,
    tenant text collate "C",
    cluster text collate "C",
    enabled boolean,
    at timestamptz,
    document json,
    constraint policy_whole check (version = 0 or row (tenant, cluster, enabled, at, document) is not null)
);
create index policy_tenant on policy (tenant, at, id);
create index policy_cluster on policy (cluster, at, id);

create table policy_state (
    policy uuid constraint policy_state_key primary key,
    version bigint not null,
    tenant text collate "C",
    cluster text collate "C",
    due_at timestamptz,
    document json,
    constraint policy_state_whole check (version = 0 or row (tenant, cluster, document) is not null)
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05);
create index policy_state_tenant on policy_state (tenant, policy);
create index policy_state_cluster on policy_state (cluster, policy);
create index policy_state_due on policy_state (cluster, due_at, policy) where due_at is not null;

create table slot (
    policy uuid,
    at timestamptz,
    version bigint not null,
    tenant text collate "C",
    document json,
    constraint slot_key primary key (policy, at),
    constraint slot_whole check (version = 0 or row (tenant, document) is not null)
);
create index slot_tenant on slot (tenant, at, policy);
create index slot_at on slot (at, policy);

create table verification (
    id uuid constraint verification_key primary key,
    version bigint not null,
    tenant text collate "C",
    cluster text collate "C",
    record uuid,
    status text collate "C",
    at timestamptz,
    document json,
    constraint verification_whole check (version = 0 or
        row (tenant, cluster, record, status, at, document) is not null),
    constraint verification_status check (status in ('running', 'passed', 'failed', 'not_run'))
);
create index verification_tenant on verification (tenant, at, id);
create index verification_cluster on verification (cluster, at, id);
create index verification_record on verification (record, at, id);
create index verification_active on verification (cluster, at, id) where status = 'running';

create table dr_test (
    id uuid constraint dr_test_key primary key,
    version bigint not null,
    tenant text collate "C",
    cluster text collate "C",
    policy uuid,
    record uuid,
    status text collate "C",
    at timestamptz,
    ended_at timestamptz,
    document json,
    constraint dr_test_whole check (version = 0 or row (tenant, cluster, status, at, document) is not null),
    constraint dr_test_status check (status in ('running', 'passed', 'failed', 'not_run'))
);
create index dr_test_tenant on dr_test (tenant, at, id);
create index dr_test_cluster on dr_test (cluster, at, id);
create index dr_test_policy on dr_test (policy, at, id) where policy is not null;
create index dr_test_record on dr_test (record, at, id) where record is not null;
create index dr_test_active on dr_test (cluster, at, id) where status = 'running';

create table retention_run (
    id uuid constraint retention_run_key primary key,
    version bigint not null,
    tenant text collate "C",
    cluster text collate "C",
    policy uuid,
    at timestamptz,
    document json,
    constraint retention_run_whole check (version = 0 or row (tenant, cluster, at, document) is not null)
);
create index retention_run_tenant on retention_run (tenant, at, id);
create index retention_run_cluster on retention_run (cluster, at, id);
create index retention_run_policy on retention_run (policy, at, id) where policy is not null;

create table cluster_state (
    cluster text collate "C" constraint cluster_state_key primary key,
    version bigint not null,
    document json,
    constraint cluster_state_whole check (version = 0 or document is not null)
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05);

create table reservation (
    key text collate "C" constraint reservation_key primary key,
    version bigint not null,
    tenant text collate "C",
    due_at timestamptz,
    document json,
    constraint reservation_whole check (version = 0 or row (tenant, document) is not null)
) with (autovacuum_vacuum_scale_factor = 0.05);
create index reservation_tenant on reservation (tenant);
create index reservation_due on reservation (due_at) where due_at is not null;

-- Ids of changesets that were applied, for a day. Found by age through a summary of its blocks, which costs
-- a writer next to nothing.
create table changeset (
    id uuid constraint changeset_key primary key,
    applied_at timestamptz not null
) with (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_insert_scale_factor = 0.2);
create index changeset_age on changeset using brin (applied_at) with (autosummarize = on);

-- The event log: what is not sealed yet, and what is.
create table event_tail (
    seq bigint generated always as identity (cache 1) constraint event_tail_key primary key,
    tenant text collate "C",
    document json not null
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000,
    autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 20000, autovacuum_vacuum_cost_delay = 0);

create table event (
    position bigint constraint event_key primary key,
    tenant text collate "C",
    hash bytea not null,
    document json not null
);
create index event_tenant on event (tenant, position);

-- The newest link of each chain; the tenant '' stands for what belongs to none.
create table chain (
    tenant text collate "C" constraint chain_key primary key,
    head bytea not null,
    position bigint not null
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

create table lease (
    name text collate "C" constraint lease_key primary key,
    generation bigint not null,
    holder text not null,
    expires_at timestamptz not null
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
-- Makes the generation part of a key: commits that rest on a lease (`for key share`) wait for whoever takes
-- it over, but neither for nor upon whoever renews it.
create unique index lease_grant on lease (name, generation);

create table reader (
    name text collate "C" constraint reader_key primary key,
    position bigint not null
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

-- What readers of the log derived from it.
create table derived (
    reader text collate "C",
    tenant text collate "C",
    key text collate "C",
    document text not null,
    constraint derived_key primary key (reader, tenant, key)
) with (fillfactor = 85, autovacuum_vacuum_scale_factor = 0.05);

create table progress (
    operation uuid constraint progress_key primary key,
    noted_at timestamptz not null,
    document json not null
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02);
create index progress_age on progress (noted_at);

-- Makes the statement that calls it fail as a whole.
create function refuse() returns boolean language plpgsql volatile as $$
begin
    raise exception 'what the changeset rests on no longer holds' using errcode = 'AE001';
end
$$;

-- Whether no entity of a kind has this key; until the transaction ends nobody can insert one. A placeholder is
-- put in its place and taken out again: an entry of the unique index that others have to wait for. Looking
-- would not do, since what is inserted meanwhile can't be seen.
create function hold_absent(kind text, key json) returns boolean language plpgsql volatile as $$
declare
    place tid;
begin
    execute format('insert into %1$I select * from json_populate_record(null::%1$I, $1) returning ctid', kind)
        into place using key;
    execute format('delete from %I where ctid = $1', kind) using place;
    return true;
end
$$;

-- Where the copies of a record lie. The document may hold escaped null characters, which no text of
-- PostgreSQL can; they are left out before it is taken apart.
create function copies(document json) returns table (location text, gone boolean, stored bigint)
language sql immutable as $$
    select copy ->> 'location', copy ->> 'gone_at' is not null, (copy ->> 'stored')::bigint
    from json_array_elements(regexp_replace(document::text, '(?<!\\)((?:\\\\)*)\\u0000', '\1', 'g')::json
        -> 'copies') as copy
$$;
