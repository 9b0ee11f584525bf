-- Totals: how many entities have the same values in what lists are narrowed by. What a change adds (1) and
-- takes away (-1) goes to the tail, by triggers, so that no writer can forget it and none waits for another;
-- the sealer folds the tail into the tally. A total is what both say in one snapshot.
--
-- Where a kind has no such column, or an entity no such value, there is '', the nil UUID or false.

-- Existing rows are counted once; however long that takes.
set local statement_timeout = 0;

create table tally_tail (
    kind text collate "C" not null,
    tenant text collate "C" not null,
    cluster text collate "C" not null,
    policy uuid not null,
    status text collate "C" not null,
    hidden boolean not null,
    at timestamptz not null,
    count bigint not null,
    stored bigint not null
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000,
    autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 20000, autovacuum_vacuum_cost_delay = 0);

-- Counts are kept for a tenant ('' and the nil UUID), for each of its clusters, and for each of its policies;
-- and for stretches of time: the entities whose microseconds since 1970, shifted right by `span`, are `bucket`.
create table tally (
    kind text collate "C",
    span smallint,
    policy uuid,
    cluster text collate "C",
    tenant text collate "C",
    bucket bigint,
    status text collate "C",
    hidden boolean,
    count bigint not null,
    stored numeric not null,
    constraint tally_key primary key (kind, span, policy, cluster, tenant, bucket, status, hidden)
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05);

-- What counts are kept for.
create view tally_level (level, span) as
    select level, span::smallint from (values ('tenant', 32), ('tenant', 37), ('tenant', 42),
        ('cluster', 32), ('cluster', 37), ('cluster', 42), ('policy', 37), ('policy', 42)) as l (level, span);

-- For each kind: what writes its changes to the tail, and its part of `counted`, every entity as it counts.
do $$
declare
    k record;
    counts text;
    parts text[];
begin
    for k in
        select * from (values
            ('job', '@.cluster', '@.policy', '@.status', '@.hidden', '0'),
            ('record', '@.cluster', '@.policy', '@.status', 'false', '@.stored'),
            ('plan', '@.cluster', 'null', '@.status', 'false', '0'),
            ('execution', '@.cluster', 'null', '@.status', 'false', '0'),
            ('policy', '@.cluster', 'null', '''''', 'false', '0'),
            ('slot', '''''', '@.policy', '''''', 'false', '0'),
            ('verification', '@.cluster', 'null', '@.status', 'false', '0'),
            ('dr_test', '@.cluster', '@.policy', '@.status', 'false', '0'),
            ('retention_run', '@.cluster', '@.policy', '''''', 'false', '0')
        ) as k (kind, cluster, policy, status, hidden, stored)
    loop
        counts := format('%L, @.tenant, %s, coalesce(%s, ''00000000-0000-0000-0000-000000000000''::uuid), %s, %s, @.at',
            k.kind, k.cluster, k.policy, k.status, k.hidden);
        execute format(
            'create function tally_%s() returns trigger language plpgsql as $f$ begin '
            'if tg_op <> ''INSERT'' then insert into tally_tail values (%s, -1, -%s); end if; '
            'if tg_op <> ''DELETE'' then insert into tally_tail values (%s, 1, %s); end if; '
            'return null; end $f$',
            k.kind, replace(counts, '@', 'old'), replace(k.stored, '@', 'old'),
            replace(counts, '@', 'new'), replace(k.stored, '@', 'new'));
        execute format('create trigger tally_insert after insert on %1$I for each row '
            'when (new.version > 0) execute function tally_%1$s()', k.kind);
        execute format('create trigger tally_delete after delete on %1$I for each row '
            'when (old.version > 0) execute function tally_%1$s()', k.kind);
        execute format('create trigger tally_update after update on %1$I for each row '
            'when ((%2$s, %3$s) is distinct from (%4$s, %5$s)) execute function tally_%1$s()', k.kind,
            replace(counts, '@', 'old'), replace(k.stored, '@', 'old'),
            replace(counts, '@', 'new'), replace(k.stored, '@', 'new'));
        parts := parts || format('select %s, 1::bigint, %s::bigint from %I as t where version > 0',
            replace(counts, '@', 't'), replace(k.stored, '@', 't'), k.kind);
    end loop;
    execute 'create view counted (kind, tenant, cluster, policy, status, hidden, at, count, stored) as '
        || array_to_string(parts, ' union all ');
end
$$;

-- The triggers keep writers out until the end, so this misses none.
insert into tally (kind, span, policy, cluster, tenant, bucket, status, hidden, count, stored)
select c.kind, l.span,
    case l.level when 'policy' then c.policy else '00000000-0000-0000-0000-000000000000' end,
    case l.level when 'tenant' then '' else c.cluster end,
    c.tenant, (extract(epoch from c.at) * 1000000)::bigint >> l.span, c.status, c.hidden,
    sum(c.count), sum(c.stored)
from counted as c join tally_level as l on case l.level when 'tenant' then true when 'cluster' then c.cluster <> ''
    else c.policy <> '00000000-0000-0000-0000-000000000000' end
group by 1, 2, 3, 4, 5, 6, 7, 8;
