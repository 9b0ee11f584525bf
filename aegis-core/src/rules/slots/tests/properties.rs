//! The ledger over whole lives of policies, and against a decision for each slot by itself.

use proptest::{prelude::*, test_runner::TestCaseError};

use super::*;

fn schedules() -> impl Strategy<Value = Schedule> {
    prop_oneof![
        (30u32..20_000).prop_map(|period| Schedule::Every { period: Seconds::new(period).unwrap() }),
        (
            prop::sample::select(vec![
                "*/10 * * * *",
                "0 * * * *",
                "0 */2 * * *",
                "30 1,2,14 * * *",
                "0 2 * * 0"
            ]),
            prop::sample::select(vec!["UTC", "America/New_York", "Australia/Lord_Howe"])
        )
            .prop_map(|(text, zone)| Schedule::cron(
                CronExpression::new(text).unwrap(),
                ZoneName::new(zone).unwrap()
            )),
    ]
}

fn options() -> impl Strategy<Value = ScheduleOptions> {
    let blackout = prop_oneof![
        Just(vec![]),
        (0u8..24, 0u8..60, 0u8..24, 0u8..60).prop_map(|(a, b, c, d)| nightly((a, b), (c, d)))
    ];
    let maybe = |max| prop::option::of((1u32..max).prop_map(|n| Seconds::new(n).unwrap()));
    (maybe(4_000), maybe(9_000), any::<bool>(), any::<bool>(), blackout).prop_map(
        |(jitter, start_window, skip, queue, blackout)| ScheduleOptions {
            jitter,
            start_window,
            catch_up: if skip { CatchUp::Skip } else { CatchUp::Latest },
            overlap: if queue { Overlap::QueueOne } else { Overlap::Skip },
            blackout,
        },
    )
}

/// What may happen to a policy.
#[derive(Clone, Debug)]
enum Step {
    /// Its slots are settled so many seconds later, while its jobs do something.
    Look { after: i64, jobs: u8 },
    /// It is edited.
    Edit(Schedule, ScheduleOptions),
    /// It is disabled, or enabled again.
    Toggle,
}

/// Now and then the clock goes back, or the engine is down for up to a year.
fn steps() -> impl Strategy<Value = Vec<Step>> {
    let by = prop_oneof![
        8 => 1i64..5_000,
        2 => 5_000i64..400_000,
        1 => 400_000i64..31_536_000,
        1 => -20_000i64..0,
    ];
    let step = prop_oneof![
        8 => (by, 0u8..4).prop_map(|(after, jobs)| Step::Look { after, jobs }),
        1 => (schedules(), options()).prop_map(|(schedule, options)| Step::Edit(schedule, options)),
        1 => Just(Step::Toggle),
    ];
    prop::collection::vec(step, 1..25)
}

/// A policy as far as its slots are concerned.
struct Life {
    table: Timetable,
    enabled: bool,
    watermark: Timestamp,
    now: Timestamp,
    last_run: Option<Timestamp>,
}

impl Life {
    fn standing(&self, jobs: u8) -> Standing {
        let activity = match jobs {
            0 => Activity::Active,
            1 => Activity::Queued { nominal: self.last_run },
            _ => Activity::Idle,
        };
        Standing { watermark: self.watermark, now: self.now, activity }
    }

    /// Settles, again and again while there is more to settle.
    fn look(&mut self, jobs: u8) -> Result<(), TestCaseError> {
        loop {
            let settlement = if self.enabled {
                settle(&self.table, self.standing(jobs))
            } else {
                close(&self.table, self.watermark, self.now, SkipReason::Disabled)
            };
            if let Some(run) = settlement.run {
                prop_assert!(self.table.start(run) <= self.now, "nothing starts early");
                prop_assert!(self.table.blackout.end(self.now).is_none(), "nothing starts in a blackout");
                self.last_run = Some(run);
            }
            let next = settlement.next_at;
            let progress = settlement.watermark > self.watermark;
            self.enter(&settlement)?;
            if !self.enabled || next.is_some_and(|next| next > self.now) {
                return Ok(());
            }
            prop_assert!(progress, "the next look lies ahead unless there is more to settle");
        }
    }

    /// What an edit commits, of whatever kind it is.
    fn close(&mut self, reason: SkipReason) -> Result<(), TestCaseError> {
        let settlement = if self.enabled {
            settle_and_close(&self.table, self.standing(2), reason)
        } else {
            close(&self.table, self.watermark, self.now, SkipReason::Disabled)
        };
        self.last_run = settlement.run.or(self.last_run);
        prop_assert!(settlement.watermark >= self.now, "no past slot is left to fire");
        self.enter(&settlement)
    }

    /// Checks that the entries of `settlement` are every slot up to its watermark, each once.
    fn enter(&mut self, settlement: &Settlement) -> Result<(), TestCaseError> {
        prop_assert!(settlement.ranges.len() <= 2 * MAX_RANGES, "a settlement has bounds");
        prop_assert!(settlement.watermark >= self.watermark);
        let tenant = TenantId::new("default").unwrap();
        let job = JobId::from_uuid(Uuid::from_u128(1));
        let schedule = self.table.schedule();
        let mut settled = self.watermark;
        for slot in settlement.ledger(policy(7), &tenant, self.now, || job) {
            let last = slot.through.unwrap_or(slot.nominal_at);
            prop_assert_eq!(schedule.next_after(settled), Some(slot.nominal_at), "no slot is left out");
            prop_assert_eq!(schedule.last_until(last), Some(last));
            prop_assert_eq!(schedule.count(settled, last), slot.count);
            prop_assert_eq!(
                slot.outcome == SlotOutcome::Ran { job },
                settlement.run == Some(slot.nominal_at)
            );
            settled = last;
        }
        prop_assert!(settled <= settlement.watermark);
        prop_assert!(schedule.next_after(settled).is_none_or(|next| next > settlement.watermark));
        self.watermark = settlement.watermark;
        Ok(())
    }
}

proptest! {
    #[test]
    fn through_downtime_clock_steps_edits_and_pauses_every_nominal_time_ends_in_exactly_one_outcome(
        schedule in schedules(), options in options(), steps in steps()
    ) {
        // The night of a clock change in New York.
        let created = at("2026-10-30T12:00:00Z");
        let table = |schedule: &Schedule, options: &ScheduleOptions| Timetable::new(schedule, options, policy(7), created);
        let mut life = Life {
            table: table(&schedule, &options), enabled: true, watermark: created, now: created, last_run: None,
        };
        for step in steps {
            match step {
                Step::Look { after, jobs } => {
                    life.now = Timestamp::from_seconds(life.now.as_seconds() + after);
                    life.look(jobs)?;
                }
                Step::Edit(schedule, options) => {
                    life.close(SkipReason::Superseded)?;
                    life.table = table(&schedule, &options);
                }
                Step::Toggle => {
                    life.close(SkipReason::Disabled)?;
                    life.enabled = !life.enabled;
                }
            }
        }
    }
}

/// What becomes of each slot, decided for one at a time.
fn naive(table: &Timetable, standing: Standing) -> Vec<(Timestamp, Option<SlotOutcome>)> {
    let due: Vec<Timestamp> = table
        .schedule()
        .iter_after(standing.watermark)
        .take_while(|slot| table.start(*slot) <= standing.now)
        .collect();
    let dark = |slot: Timestamp| table.blackout.end(table.start(slot)).is_some();
    let tolerance = table.start_window.unwrap_or(PUNCTUAL);
    let punctual = |slot: Timestamp| standing.now <= table.start(slot).saturating_add(tolerance);
    let unlimited = table.catch_up == CatchUp::Latest && table.start_window.is_none();
    let blackout_end = table.blackout.end(standing.now);
    let late = if table.start_window.is_some() { SlotOutcome::Expired } else { MISSED };
    let into = |into| SlotOutcome::Coalesced { into };

    let latest = due.iter().copied().rfind(|slot| !dark(*slot));
    let wanted = latest.filter(|latest| unlimited || punctual(*latest));
    let busy = match standing.activity {
        Activity::Idle => None,
        Activity::Active => (table.overlap == Overlap::Skip).then_some(skipped(SkipReason::Overlap)),
        Activity::Queued { nominal: Some(nominal) } if table.overlap == Overlap::QueueOne => {
            Some(into(nominal))
        }
        Activity::Queued { .. } => Some(skipped(SkipReason::Overlap)),
    };
    if let (Some(latest), None, Some(end)) = (wanted, busy, blackout_end)
        && end < Timestamp::MAX
        && (unlimited || end <= table.start(latest).saturating_add(tolerance))
    {
        return Vec::new();
    }
    let instead = busy.or(blackout_end.map(|_| skipped(SkipReason::Blackout)));
    let of_one = |slot: Timestamp| match (wanted, instead) {
        _ if dark(slot) => Some(skipped(SkipReason::Blackout)),
        (None, _) => Some(late),
        (Some(wanted), None) if slot == wanted => None,
        (Some(wanted), None) if table.catch_up == CatchUp::Latest || punctual(slot) => Some(into(wanted)),
        (Some(_), Some(joined @ SlotOutcome::Coalesced { .. }))
            if table.catch_up == CatchUp::Latest || punctual(slot) =>
        {
            Some(joined)
        }
        (Some(wanted), Some(instead)) if slot == wanted || punctual(slot) => Some(instead),
        (Some(_), _) => Some(late),
    };
    due.iter().map(|slot| (*slot, of_one(*slot))).collect()
}

proptest! {
    #[test]
    fn settling_ranges_agrees_with_deciding_each_slot(
        schedule in schedules(), options in options(), past in 0i64..400_000, activity in 0u8..4, queued in 1i64..50_000
    ) {
        let watermark = at("2026-10-30T12:00:00Z");
        let table = Timetable::new(&schedule, &options, policy(7), watermark);
        let activity = match activity {
            0 => Activity::Active,
            1 => Activity::Queued { nominal: Some(Timestamp::from_seconds(watermark.as_seconds() - queued)) },
            2 => Activity::Queued { nominal: None },
            _ => Activity::Idle,
        };
        let standing = Standing { watermark, now: Timestamp::from_seconds(watermark.as_seconds() + past), activity };
        let settlement = settle(&table, standing);

        let mut settled: Vec<(Timestamp, Option<SlotOutcome>)> = settlement.run.iter().map(|run| (*run, None)).collect();
        for range in &settlement.ranges {
            let first = std::iter::once(range.first);
            let slots = first.chain(table.schedule().iter_after(range.first)).take_while(|slot| *slot <= range.last);
            settled.extend(slots.map(|slot| (slot, Some(range.outcome))));
        }
        settled.sort_by_key(|(slot, _)| *slot);
        prop_assert_eq!(settled, naive(&table, standing));
    }
}
