-- Totals: how many entities have the same values in what lists are narrowed by. What a change adds (1) and
-- takes away (-1) goes to the tail, by triggers, so that no writer can forget it; sealing folds the tail into
-- the tally. A total is what both say in one snapshot.
--
-- Where a kind has no such column, or an entity no such value, there is '', x'' or 0.

create table tally_tail (
    seq integer primary key,
    kind text not null,
    tenant text not null,
    cluster text not null,
    policy blob not null,
    status text not null,
    hidden integer not null,
    at integer not null,
    count integer not null,
    stored integer not null
) strict;

-- Counts are kept for a tenant ('' and x''), for each of its clusters, and for each of its policies; and for
-- stretches of time: the entities whose microseconds since 1970, shifted right by `span`, are `bucket`. Sizes
-- are in two parts, of 32 bits and the rest, so that no sum of them overflows.
create table tally (
    kind text not null,
    span integer not null,
    policy blob not null,
    cluster text not null,
    tenant text not null,
    bucket integer not null,
    status text not null,
    hidden integer not null,
    count integer not null,
    stored_high integer not null,
    stored_low integer not null,
    primary key (kind, span, policy, cluster, tenant, bucket, status, hidden)
) strict, without rowid;

-- What counts are kept for.
create view tally_level (level, span) as values
    ('tenant', 32), ('tenant', 37), ('tenant', 42), ('cluster', 32), ('cluster', 37), ('cluster', 42),
    ('policy', 37), ('policy', 42);

-- Every entity as it counts.
create view counted (kind, tenant, cluster, policy, status, hidden, at, count, stored) as
    select 'job', t.tenant, t.cluster, coalesce(t.policy, x''), t.status, t.hidden, t.at, 1, 0 from job as t
    union all select 'record', t.tenant, t.cluster, coalesce(t.policy, x''), t.status, 0, t.at, 1, t.stored from record as t
    union all select 'plan', t.tenant, t.cluster, x'', t.status, 0, t.at, 1, 0 from plan as t
    union all select 'execution', t.tenant, t.cluster, x'', t.status, 0, t.at, 1, 0 from execution as t
    union all select 'policy', t.tenant, t.cluster, x'', '', 0, t.at, 1, 0 from policy as t
    union all select 'slot', t.tenant, '', t.policy, '', 0, t.at, 1, 0 from slot as t
    union all select 'verification', t.tenant, t.cluster, x'', t.status, 0, t.at, 1, 0 from verification as t
    union all select 'dr_test', t.tenant, t.cluster, coalesce(t.policy, x''), t.status, 0, t.at, 1, 0 from dr_test as t
    union all select 'retention_run', t.tenant, t.cluster, coalesce(t.policy, x''), '', 0, t.at, 1, 0 from retention_run as t;

create trigger job_tally_insert after insert on job begin
    insert into tally_tail (kind, tenant, cluster, policy, status, hidden, at, count, stored)
        values ('job', new.tenant, new.cluster, coalesce(new.policy, x''), new.status, new.hidden, new.at, 1, 0);
end;
create trigger job_tally_delete after delete on job begin
    insert into tally_tail (kind, tenant, cluster, policy, status, hidden, at, count, stored)
        values ('job', old.tenant, old.cluster, coalesce(old.policy, x''), old.status, old.hidden, old.at, -1, 0);
end;
create trigger job_tally_update after update on job when (old.tenant, old.cluster, old.policy, old.status, old.hidden, old.at) is not (new.tenant, new.cluster, new.policy, new.status, new.hidden, new.at) begin
    insert into tally_tail (kind, tenant, cluster, policy, status, hidden, at, count, stored)
        values ('job', old.tenant, old.cluster, coalesce(old.policy, x''), old.status, old.hidden, old.at, -1, 0);
    insert into tally_tail (kind, tenant, cluster, policy, status, hidden, at, count, stored)
        values ('job', new.tenant, new.cluster, coalesce(new.policy, x''), new.status, new.hidden, new.at, 1, 0);
end;

create trigger record_tally_insert after insert on record begin
    insert into tally_tail (kind, tenant, cluster, policy, status, hidden, at, count, stored)
        values ('record', new.tenant, new.cluster, coalesce(new.policy, x''), new.status, 0, new.at, 1, new.stored);
end;
create trigger record_tally_delete after delete on record begin
    insert into tally_tail (kind, tenant, cluster, policy, status, hidden, at, count, stored)
        values ('record', old.tenant, old.cluster, coalesce(old.policy, x''), old.status, 0, old.at, -1, -old.stored);
end;
create trigger record_tally_update after update on record when (old.tenant, old.cluster, old.policy, old.status, old.stored, old.at) is not (new.tenant, new.cluster, new.policy, new.status, new.stored, new.at) begin
    insert into tally_tail (kind, tenant, cluster, policy, status, hidden, at, count, stored)
        values ('record', old.tenant, old.cluster, coalesce(old.policy, x''), old.status, 0, old.at, -1, -old.stored);
    insert into tally_tail (kind, tenant, cluster, policy, status, hidden, at, count, stored)
        values ('record', new.tenant, new.cluster, coalesce(new.policy, x''), new.status, 0, new.at, 1, new.stored);
end;

create trigger plan_tally_insert after insert on plan begin
    insert into tally_tail (kind, tenant, cluster, policy, status, hidden, at, count, stored)
        values ('plan', new.tenant, new.cluster, x'', new.status, 0, new.at, 1, 0);
end;
create trigger plan_tally_delete after delete on plan begin
    insert into tally_tail (kind, tenant, cluster, policy, status, hidden, at, count, stored)
        values ('plan', old.tenant, old.cluster, x'', old.status, 0, old.at, -1, 0);
end;
create trigger plan_tally_update after update on plan when (old.tenant, old.cluster, old.status, old.at) is not (new.tenant, new.cluster, new.status, new.at) begin
    insert into tally_tail (kind, tenant, cluster, policy, status, hidden, at, count, stored)
        values ('plan', old.tenant, old.cluster, x'', old.status, 0, old.at, -1, 0);
    insert into tally_tail (kind, tenant, cluster, policy, status, hidden, at, count, stored)
        values ('plan', new.tenant, new.cluster, x'', new.status, 0, new.at, 1, 0);
end;

create trigger execution_tally_insert after insert on execution begin
    insert into tally_tail (kind, tenant, cluster, policy, status, hidden, at, count, stored)
        values ('execution', new.tenant, new.cluster, x'', new.status, 0, new.at, 1, 0);
end;
create trigger execution_tally_delete after delete on execution begin
    insert into tally_tail (kind, tenant, cluster, policy, status, hidden, at, count, stored)
        values ('execution', old.tenant, old.cluster, x'', old.status, 0, old.at, -1, 0);
end;
create trigger execution_tally_update after update on execution when (old.tenant, old.cluster, old.status, old.at) is not (new.tenant, new.cluster, new.status, new.at) begin
    insert into tally_tail (kind, tenant, cluster, policy, status, hidden, at, count, stored)
        values ('execution', old.tenant, old.cluster, x'', old.status, 0, old.at, -1, 0);
    insert into tally_tail (kind, tenant, cluster, policy, status, hidden, at, count, stored)
        values ('execution', new.tenant, new.cluster, x'', new.status, 0, new.at, 1, 0);
end;

create trigger policy_tally_insert after insert on policy begin
    insert into tally_tail (kind, tenant, cluster, policy, status, hidden, at, count, stored)
        values ('policy', new.tenant, new.cluster, x'', '', 0, new.at, 1, 0);
end;
create trigger policy_tally_delete after delete on policy begin
    insert into tally_tail (kind, tenant, cluster, policy, status, hidden, at, count, stored)
        values ('policy', old.tenant, old.cluster, x'', '', 0, old.at, -1, 0);
end;
create trigger policy_tally_update after update on policy when (old.tenant, old.cluster, old.at) is not (new.tenant, new.cluster, new.at) begin
    insert into tally_tail (kind, tenant, cluster, policy, status, hidden, at, count, stored)
        values ('policy', old.tenant, old.cluster, x'', '', 0, old.at, -1, 0);
    insert into tally_tail (kind, tenant, cluster, policy, status, hidden, at, count, stored)
        values ('policy', new.tenant, new.cluster, x'', '', 0, new.at, 1, 0);
end;

create trigger slot_tally_insert after insert on slot begin
    insert into tally_tail (kind, tenant, cluster, policy, status, hidden, at, count, stored)
        values ('slot', new.tenant, '', new.policy, '', 0, new.at, 1, 0);
end;
create trigger slot_tally_delete after delete on slot begin
    insert into tally_tail (kind, tenant, cluster, policy, status, hidden, at, count, stored)
        values ('slot', old.tenant, '', old.policy, '', 0, old.at, -1, 0);
end;
create trigger slot_tally_update after update on slot when (old.tenant, old.policy, old.at) is not (new.tenant, new.policy, new.at) begin
    insert into tally_tail (kind, tenant, cluster, policy, status, hidden, at, count, stored)
        values ('slot', old.tenant, '', old.policy, '', 0, old.at, -1, 0);
    insert into tally_tail (kind, tenant, cluster, policy, status, hidden, at, count, stored)
        values ('slot', new.tenant, '', new.policy, '', 0, new.at, 1, 0);
end;

create trigger verification_tally_insert after insert on verification begin
    insert into tally_tail (kind, tenant, cluster, policy, status, hidden, at, count, stored)
        values ('verification', new.tenant, new.cluster, x'', new.status, 0, new.at, 1, 0);
end;
create trigger verification_tally_delete after delete on verification begin
    insert into tally_tail (kind, tenant, cluster, policy, status, hidden, at, count, stored)
        values ('verification', old.tenant, old.cluster, x'', old.status, 0, old.at, -1, 0);
end;
create trigger verification_tally_update after update on verification when (old.tenant, old.cluster, old.status, old.at) is not (new.tenant, new.cluster, new.status, new.at) begin
    insert into tally_tail (kind, tenant, cluster, policy, status, hidden, at, count, stored)
        values ('verification', old.tenant, old.cluster, x'', old.status, 0, old.at, -1, 0);
    insert into tally_tail (kind, tenant, cluster, policy, status, hidden, at, count, stored)
        values ('verification', new.tenant, new.cluster, x'', new.status, 0, new.at, 1, 0);
end;

create trigger dr_test_tally_insert after insert on dr_test begin
    insert into tally_tail (kind, tenant, cluster, policy, status, hidden, at, count, stored)
        values ('dr_test', new.tenant, new.cluster, coalesce(new.policy, x''), new.status, 0, new.at, 1, 0);
end;
create trigger dr_test_tally_delete after delete on dr_test begin
    insert into tally_tail (kind, tenant, cluster, policy, status, hidden, at, count, stored)
        values ('dr_test', old.tenant, old.cluster, coalesce(old.policy, x''), old.status, 0, old.at, -1, 0);
end;
create trigger dr_test_tally_update after update on dr_test when (old.tenant, old.cluster, old.policy, old.status, old.at) is not (new.tenant, new.cluster, new.policy, new.status, new.at) begin
    insert into tally_tail (kind, tenant, cluster, policy, status, hidden, at, count, stored)
        values ('dr_test', old.tenant, old.cluster, coalesce(old.policy, x''), old.status, 0, old.at, -1, 0);
    insert into tally_tail (kind, tenant, cluster, policy, status, hidden, at, count, stored)
        values ('dr_test', new.tenant, new.cluster, coalesce(new.policy, x''), new.status, 0, new.at, 1, 0);
end;

create trigger retention_run_tally_insert after insert on retention_run begin
    insert into tally_tail (kind, tenant, cluster, policy, status, hidden, at, count, stored)
        values ('retention_run', new.tenant, new.cluster, coalesce(new.policy, x''), '', 0, new.at, 1, 0);
end;
create trigger retention_run_tally_delete after delete on retention_run begin
    insert into tally_tail (kind, tenant, cluster, policy, status, hidden, at, count, stored)
        values ('retention_run', old.tenant, old.cluster, coalesce(old.policy, x''), '', 0, old.at, -1, 0);
end;
create trigger retention_run_tally_update after update on retention_run when (old.tenant, old.cluster, old.policy, old.at) is not (new.tenant, new.cluster, new.policy, new.at) begin
    insert into tally_tail (kind, tenant, cluster, policy, status, hidden, at, count, stored)
        values ('retention_run', old.tenant, old.cluster, coalesce(old.policy, x''), '', 0, old.at, -1, 0);
    insert into tally_tail (kind, tenant, cluster, policy, status, hidden, at, count, stored)
        values ('retention_run', new.tenant, new.cluster, coalesce(new.policy, x''), '', 0, new.at, 1, 0);
end;

insert into tally (kind, span, policy, cluster, tenant, bucket, status, hidden, count, stored_high, stored_low)
select c.kind, l.span, case l.level when 'policy' then c.policy else x'' end,
    case l.level when 'tenant' then '' else c.cluster end, c.tenant, c.at >> l.span, c.status, c.hidden,
    sum(c.count), sum(c.stored >> 32), sum(c.stored & 4294967295)
from counted as c join tally_level as l
    on case l.level when 'tenant' then true when 'cluster' then c.cluster <> '' else c.policy <> x'' end
group by 1, 2, 3, 4, 5, 6, 7, 8;
