//! What the command line asks for.

use std::{ffi::OsString, path::PathBuf, time::Duration};

use aegis::{
    model::{Bytes, RetentionRules, Rpo, Schedule, Timestamp, ZoneName},
    rules::{
        retention::Acknowledgement,
        simulation::{Outage, Share},
    },
};

use crate::read::{self, Read};

pub(crate) const USAGE: &str = "\
usage: simulate_policy [OPTIONS]

Plays a year of backup policies by the engine's own rules, prints what came of it and draws a chart.
Without options: an hourly and a nightly policy of the same data, with failures and outages.

Policies of your own; each --schedule begins another, up to three:
  --schedule WHEN      \"0 */4 * * *\", @daily, or \"every 90m\"
  --zone ZONE          whose wall clock it reads, such as Europe/Berlin     (UTC)
  --retention RULES    what stays: days=30, or hourly=48,daily=30,min=3     (days=30)
                       also last, weekly, monthly, quarterly, yearly
  --rpo TIME           how much may be lost, such as 90m or 26h             (no target)
  --duration TIME      what half of its runs take at most                   (10m)

Their world:
  --failure PERCENT    how many runs fail                                   (2)
  --bad PERCENT        how many backups turn out bad, a day later or so     (0.3)
  --outage OUTAGE      engine or storage, since when, how long; repeatable,
                       such as storage:2026-03-06T18:00:00Z:60h             (some)
  --size SIZE          how much data there is, such as 500GB                (500GB)
  --change PERCENT     how much of it changes in a day                      (3)
  --acknowledge        somebody says go whenever retention stops to ask

  --seed N             what chance is drawn from                            (1)
  --start DATE         when it begins                                       (2026-01-01)
  --days N             how long it goes on, up to 3660                      (365)
  --output FILE        where the chart goes      (aegis-simulation.svg among the temporary files)";

/// The most policies that one chart shows well.
const MAX_POLICIES: usize = 3;

/// A policy of the user's own.
#[derive(Debug)]
pub(crate) struct Wanted {
    pub(crate) when: String,
    pub(crate) schedule: Schedule,
    pub(crate) retention: RetentionRules,
    pub(crate) rpo: Option<Rpo>,
    pub(crate) duration: Duration,
}

/// What to play, and where to draw it.
#[derive(Debug)]
pub(crate) struct Args {
    pub(crate) policies: Vec<Wanted>,
    pub(crate) failure: Share,
    pub(crate) bad: Share,
    pub(crate) outages: Vec<Outage>,
    pub(crate) size: Bytes,
    pub(crate) change: Share,
    pub(crate) acknowledgement: Acknowledgement,
    pub(crate) seed: u64,
    pub(crate) start: Timestamp,
    pub(crate) length: Duration,
    pub(crate) output: PathBuf,
}

impl Args {
    fn new() -> Read<Self> {
        Ok(Self {
            policies: Vec::new(),
            failure: Share::percent(2),
            bad: Share::per_million(3000),
            outages: Vec::new(),
            size: Bytes(500_000_000_000),
            change: Share::percent(3),
            acknowledgement: Acknowledgement::None,
            seed: 1,
            start: read::instant("2026-01-01")?,
            length: days(365),
            output: std::env::temp_dir().join("aegis-simulation.svg"),
        })
    }

    fn begin_policy(&mut self, when: &str) -> Read<()> {
        if self.policies.len() == MAX_POLICIES {
            return Err(format!("{MAX_POLICIES} policies at a time: leave out `{when}`"));
        }
        self.policies.push(Wanted {
            when: when.to_owned(),
            schedule: read::schedule(when, ZoneName::UTC)?,
            retention: RetentionRules::days(30),
            rpo: None,
            duration: Duration::from_secs(600),
        });
        Ok(())
    }

    /// The policy that the option speaks of.
    fn policy(&mut self) -> Read<&mut Wanted> {
        let missing = "it is about a policy of your own: write --schedule before it";
        self.policies.last_mut().ok_or_else(|| missing.to_owned())
    }

    fn set(&mut self, option: &str, value: &str) -> Read<()> {
        match option {
            "--schedule" => self.begin_policy(value)?,
            "--zone" => {
                let zone = ZoneName::new(value).map_err(|error| error.to_string())?;
                let policy = self.policy()?;
                policy.schedule = read::schedule(&policy.when, zone)?;
            }
            "--retention" => self.policy()?.retention = read::retention(value)?,
            "--rpo" => self.policy()?.rpo = Some(Rpo(read::duration(value)?)),
            "--duration" => self.policy()?.duration = read::duration(value)?,
            "--failure" => self.failure = read::percent(value)?,
            "--bad" => self.bad = read::percent(value)?,
            "--outage" => self.outages.push(read::outage(value)?),
            "--size" => self.size = read::bytes(value)?,
            "--change" => self.change = read::percent(value)?,
            "--seed" => {
                self.seed =
                    value.parse().map_err(|_| format!("`{value}` is no seed: write a whole number"))?;
            }
            "--start" => self.start = read::instant(value)?,
            "--days" => self.length = days(number_of_days(value)?),
            _ => return Err("there is no such option".to_owned()),
        }
        Ok(())
    }
}

/// What the command line asks for.
#[derive(Debug)]
pub(crate) enum Asked {
    Run(Box<Args>),
    Help,
}

pub(crate) fn parse(given: impl Iterator<Item = OsString>) -> Read<Asked> {
    let mut args = Args::new()?;
    let mut given = given;
    while let Some(word) = given.next() {
        let word = word.to_string_lossy().into_owned();
        let (option, inline) = match word.split_once('=') {
            Some((option, value)) if word.starts_with("--") => (option.to_owned(), Some(value.into())),
            _ => (word, None),
        };
        let mut value = || inline.clone().or_else(|| given.next()).ok_or(format!("{option} needs a value"));
        match option.as_str() {
            "--help" | "-h" => return Ok(Asked::Help),
            "--acknowledge" => args.acknowledgement = Acknowledgement::Given,
            "--output" => args.output = value()?.into(),
            text if text.starts_with("--") => {
                let value: OsString = value()?;
                args.set(text, &value.to_string_lossy()).map_err(|wrong| format!("{text}: {wrong}"))?;
            }
            text => return Err(format!("`{text}` belongs to no option")),
        }
    }
    Ok(Asked::Run(Box::new(args)))
}

fn days(days: u32) -> Duration {
    Duration::from_secs(86_400) * days
}

fn number_of_days(text: &str) -> Read<u32> {
    let wrong = || format!("`{text}` is no number of days from 1 to 3660");
    text.parse().ok().filter(|days| (1..=3660).contains(days)).ok_or_else(wrong)
}
