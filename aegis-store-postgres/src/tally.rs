//! Totals: what the tally says and what is not folded into it yet, in one snapshot.
//!
//! Whatever changes a row that lists are made of leaves, by a trigger, what it adds and takes away in
//! `tally_tail`, a table that is only ever inserted into. The sealer folds that into `tally`, which
//! has a row for each of the values that lists are narrowed by and each stretch of time. So a total
//! is a sum over few rows, however many there are to count, and no two writers meet in one of them.

use aegis_core::{
    model::{EntityKind, Timestamp},
    seams::{Cut, Stretches, TallyLevel},
};
use uuid::Uuid;

use crate::{select::Select, statement::instant};

/// That a row of the tally is of the level that has the answer.
fn at_level(level: TallyLevel) -> String {
    let nobody = Uuid::nil();
    match level {
        TallyLevel::Policy => String::new(),
        TallyLevel::Cluster => format!(" and t.policy = '{nobody}'"),
        TallyLevel::Tenant => format!(" and t.policy = '{nobody}' and t.cluster = ''"),
    }
}

impl Select {
    /// Rows whose sums of `count` and `stored` are those of all that matches, and never null.
    pub(crate) fn counted(&mut self) -> String {
        let kind = self.kind;
        let stored = if kind == EntityKind::Record { "coalesce(sum(t.stored), 0)" } else { "0" };
        let rows = format!("select count(*) as count, {stored} as stored");
        let Some(cut) = self.narrowing.cut() else { return format!("{rows} {}", self.source()) };
        let sums = "select coalesce(sum(t.count), 0) as count, coalesce(sum(t.stored), 0) as stored";
        let mut narrowed = self.narrowed.concat();
        if self.narrowing.level() == TallyLevel::Policy {
            // Which stands for none, and which nobody has.
            narrowed.push_str(&format!(" and t.policy <> '{}'", Uuid::nil()));
        }
        let (level, buckets) = (at_level(self.narrowing.level()), self.buckets(&cut));
        let mut parts = vec![
            format!("{sums} from {buckets} and t.kind = '{kind}'{level}{narrowed}"),
            format!(
                "{sums} from tally_tail as t where t.kind = '{kind}'{narrowed}{}",
                self.between(cut.from, cut.to)
            ),
        ];
        for edge in cut.edges {
            let between = self.between(Some(edge.start), Some(edge.end));
            parts.push(format!("{rows} from {kind} as t where true{narrowed}{between}"));
        }
        parts.join(" union all ")
    }

    /// The rows of the tally, as `t`, that have the whole stretches of a cut, up to a further `and`.
    fn buckets(&mut self, cut: &Cut) -> String {
        if let [Stretches { span, first: i64::MIN, last: i64::MAX }] = cut.whole.as_slice() {
            return format!("tally as t where t.span = {span}");
        }
        let spans = self.bind(cut.whole.iter().map(|whole| i16::from(whole.span)).collect::<Vec<_>>());
        let firsts = self.bind(cut.whole.iter().map(|whole| whole.first).collect::<Vec<_>>());
        let lasts = self.bind(cut.whole.iter().map(|whole| whole.last).collect::<Vec<_>>());
        format!(
            "unnest({spans}::smallint[], {firsts}::bigint[], {lasts}::bigint[]) as w (span, first, last), \
             tally as t where t.span = w.span and t.bucket >= w.first and t.bucket < w.last"
        )
    }

    fn between(&mut self, from: Option<Timestamp>, to: Option<Timestamp>) -> String {
        let from = from.map(|from| format!(" and t.at >= {}", self.bind(instant(from))));
        let to = to.map(|to| format!(" and t.at < {}", self.bind(instant(to))));
        [from, to].into_iter().flatten().collect()
    }
}

/// Folds at most `limit` rows of the tail into the tally: parts of a statement, without a result. What cancels out
/// goes nowhere, as most steps of a job that is soon over do.
pub(crate) fn folding(limit: &str) -> String {
    let (nil, [shortest, ..]) = (Uuid::nil(), Stretches::SPANS);
    format!(
        "untallied as (delete from tally_tail where ctid = any (array (select ctid from tally_tail limit {limit})) \
            returning *), \
        changed as (select kind, tenant, cluster, policy, status, hidden, \
                (extract(epoch from at) * 1000000)::bigint >> {shortest} as bucket, \
                sum(count)::bigint as count, sum(stored) as stored \
            from untallied group by 1, 2, 3, 4, 5, 6, 7 having sum(count) <> 0 or sum(stored) <> 0), \
        tallied as (insert into tally as t (kind, span, policy, cluster, tenant, bucket, status, hidden, count, stored) \
            select c.kind, l.span, case l.level when 'policy' then c.policy else '{nil}' end, \
                case l.level when 'tenant' then '' else c.cluster end, c.tenant, \
                c.bucket >> (l.span - {shortest}), c.status, c.hidden, sum(c.count), sum(c.stored) \
            from changed as c join tally_level as l on case l.level when 'tenant' then true \
                when 'cluster' then c.cluster <> '' else c.policy <> '{nil}' end \
            group by 1, 2, 3, 4, 5, 6, 7, 8 \
            on conflict on constraint tally_key do update \
                set count = t.count + excluded.count, stored = t.stored + excluded.stored)"
    )
}
