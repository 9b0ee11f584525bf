//! Proving that the event log is what it was.

use std::{collections::BTreeMap, fmt};

use super::Tenant;
use crate::{
    engine::{
        Aegis, EngineError,
        runtime::{Core, read_anchors, readable_after},
    },
    model::{Anchor, Position, SealedEvent, TenantId},
    rules::{Break, ChainCheck, ChainVerification, LogFinding},
    seams::{Scope, Store},
};

/// How many events one read takes.
const BATCH: usize = 1000;
/// How many findings are told one by one.
const TOLD: usize = 100;
/// How far an event that is out of its place is looked for.
const NEAR: usize = 64;

/// What the verification of the event log came to. As text it is a sentence for a person, and one
/// for each finding.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogVerification {
    /// The chains that were read, that of nobody first, then by tenant.
    pub chains: Vec<ChainVerification>,
    /// What is not as it should be, as it was met; at most a hundred.
    pub findings: Vec<LogFinding>,
    /// How many findings more there were.
    pub untold: u64,
}

impl LogVerification {
    /// Whether the log is what it was, as far as links and anchors can tell.
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        self.findings.is_empty()
    }

    /// How many events were read.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.chains.iter().map(|chain| chain.events).sum()
    }

    /// Up to which position.
    #[must_use]
    pub fn through(&self) -> Position {
        self.chains.iter().map(|chain| chain.ends).max().unwrap_or_default()
    }

    /// The position up to which anchors vouch for every event; `None` if a chain that has events was
    /// never anchored.
    #[must_use]
    pub fn anchored(&self) -> Option<Position> {
        let mut vouched = self.through();
        for chain in self.chains.iter().filter(|chain| chain.events > 0) {
            let anchored = chain.anchored?;
            // Nothing of a chain that is anchored to its end goes without.
            if anchored < chain.ends {
                vouched = vouched.min(anchored);
            }
        }
        Some(vouched)
    }

    fn note(&mut self, finding: LogFinding) {
        if let LogFinding::Removed { from, through } = finding
            && self.findings.iter().any(|known| {
                matches!(known, LogFinding::Removed { from: a, through: b } if *a <= from && through <= *b)
            })
        {
            return;
        }
        if self.findings.len() < TOLD {
            self.findings.push(finding);
        } else {
            self.untold += 1;
        }
    }
}

impl fmt::Display for LogVerification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (events, through) = (self.events(), self.through());
        write!(f, "{events} events up to position {through} were read")?;
        let from = self.chains.iter().map(|chain| chain.begins).max().unwrap_or_default();
        if from > Position::START {
            write!(f, " (those up to position {from} were pruned)")?;
        }
        let findings = u64::try_from(self.findings.len()).unwrap_or(u64::MAX).saturating_add(self.untold);
        match findings {
            0 => f.write_str(" and every one is linked to the one before it")?,
            1 => f.write_str(" and one thing is wrong")?,
            _ => write!(f, " and {findings} things are wrong")?,
        }
        match self.anchored() {
            Some(anchored) => write!(f, "; anchors vouch for it up to position {anchored}.")?,
            None => f.write_str("; not all of it was anchored yet, so a cut-off end would not be seen.")?,
        }
        self.findings.iter().try_for_each(|finding| write!(f, "\n- {finding}"))?;
        if self.untold > 0 { write!(f, "\n- and {} more", self.untold) } else { Ok(()) }
    }
}

impl Tenant {
    /// Verifies the tenant's event log: reads it page by page, computes every link anew and compares
    /// with what was anchored in the tenant's storage locations. Changes nothing.
    ///
    /// What was sealed after the newest anchor is checked link by link, but if its end was cut off,
    /// nobody can tell. A beginning that the store pruned is said, and is no finding; the first event
    /// that is left is vouched for by the anchors after it.
    ///
    /// Its memory does not grow with the log. Cancel safe.
    ///
    /// # Errors
    /// As the store answers. A location that does not answer is a finding.
    pub async fn verify_log(&self) -> Result<LogVerification, EngineError> {
        Verifier::new(&self.core, self.scope()).run().await
    }
}

impl Aegis {
    /// Verifies the event log of all tenants, and of what belongs to none: as
    /// [`Tenant::verify_log`], and that no position is missing between them.
    ///
    /// # Errors
    /// As the store answers. A location that does not answer is a finding.
    pub async fn verify_log(&self) -> Result<LogVerification, EngineError> {
        Verifier::new(self.core(), Scope::Everyone).run().await
    }
}

/// Reads the log once.
struct Verifier<'a> {
    core: &'a Core,
    scope: Scope,
    begins: Position,
    chains: BTreeMap<Option<TenantId>, ChainCheck>,
    /// Events that were met where others were sealed.
    displaced: Vec<SealedEvent>,
    verified: LogVerification,
}

impl<'a> Verifier<'a> {
    fn new(core: &'a Core, scope: Scope) -> Self {
        Self {
            core,
            scope,
            begins: Position::START,
            chains: BTreeMap::new(),
            displaced: Vec::new(),
            verified: LogVerification::default(),
        }
    }

    fn store(&self) -> &dyn Store {
        &*self.core.store
    }

    async fn run(mut self) -> Result<LogVerification, EngineError> {
        // Anchors first: what is anchored meanwhile may be of events that are not read any more.
        let mut anchors = self.anchors().await?;
        self.begins = readable_after(self.store(), &self.scope, Position::START).await?;
        if let Scope::Tenant(tenant) = &self.scope {
            anchors.entry(Some(tenant.clone())).or_default();
        }
        for (tenant, anchors) in anchors {
            self.chains.insert(tenant.clone(), ChainCheck::new(tenant, self.begins, anchors));
        }
        let mut last = self.begins;
        loop {
            let events = self.store().events(&self.scope, last, BATCH).await?;
            let Some(newest) = events.iter().map(|sealed| sealed.position).max() else { break };
            let mut before = last;
            for sealed in &events {
                self.check(before, sealed).await?;
                before = before.max(sealed.position);
            }
            last = newest;
        }
        for (_, chain) in std::mem::take(&mut self.chains) {
            let (chain, cut_off) = chain.finish();
            self.verified.chains.push(chain);
            cut_off.into_iter().for_each(|finding| self.verified.note(finding));
        }
        Ok(self.verified)
    }

    /// The anchors of the chains that are read, from all locations that may hold some.
    async fn anchors(&mut self) -> Result<BTreeMap<Option<TenantId>, Vec<Anchor>>, EngineError> {
        let mut chains: BTreeMap<_, Vec<Anchor>> = BTreeMap::new();
        for location in &self.core.locations {
            let tenant = match &self.scope {
                Scope::Everyone => None,
                Scope::Tenant(tenant) if location.tenants.contains(tenant) => Some(tenant),
                Scope::Tenant(_) => continue,
            };
            let (anchors, findings) = read_anchors(&*self.core.store, &*location.storage, tenant).await?;
            for anchor in anchors {
                chains.entry(anchor.tenant.clone()).or_default().push(anchor);
            }
            findings.into_iter().for_each(|finding| self.verified.note(finding));
        }
        Ok(chains)
    }

    /// Checks one event; `before` is the position of the one that was read before it.
    async fn check(&mut self, before: Position, sealed: &SealedEvent) -> Result<(), EngineError> {
        if sealed.position <= before && before > self.begins {
            self.verified.note(LogFinding::Reordered { position: before, belongs: sealed.position });
        } else if matches!(self.scope, Scope::Everyone) && sealed.position > before.next() {
            let through = Position(sealed.position.0 - 1);
            self.verified.note(LogFinding::Removed { from: before.next(), through });
        }
        let tenant = &sealed.event.tenant;
        let begins = self.begins;
        let chain = self.chains.entry(tenant.clone());
        let chain = chain.or_insert_with(|| ChainCheck::new(tenant.clone(), begins, Vec::new()));
        if let Some(broken) = chain.follow(sealed) {
            self.explain(sealed, &broken).await?;
        }
        if let Some(chain) = self.chains.get_mut(tenant) {
            chain.compare().into_iter().for_each(|finding| self.verified.note(finding));
        }
        Ok(())
    }

    /// Says why an event does not follow the one before it in its chain.
    async fn explain(&mut self, sealed: &SealedEvent, broken: &Break) -> Result<(), EngineError> {
        if self.verified.untold > 0 {
            self.verified.untold += 1;
            return Ok(());
        }
        let missing = self.missing_between(broken.previous, sealed.position).await?;
        if !missing.is_empty() {
            missing.into_iter().for_each(|finding| self.verified.note(finding));
            return Ok(());
        }
        let position = sealed.position;
        let Some(proper) = self.sealed_at(sealed, broken).await? else {
            self.verified.note(LogFinding::Changed { position });
            return Ok(());
        };
        self.verified.note(LogFinding::Reordered { position: proper.position, belongs: position });
        if let Some(chain) = self.chains.get_mut(&sealed.event.tenant) {
            chain.continue_from(proper.hash);
        }
        self.displaced.push(sealed.clone());
        Ok(())
    }

    /// Positions that no event of any tenant has, between two that events have.
    async fn missing_between(
        &self,
        after: Position,
        before: Position,
    ) -> Result<Vec<LogFinding>, EngineError> {
        let mut missing = Vec::new();
        let mut last = after;
        while last.next() < before && missing.len() < TOLD {
            let events = self.store().events(&Scope::Everyone, last, BATCH).await?;
            let positions = events.iter().map(|sealed| sealed.position.min(before));
            for position in positions.chain(events.is_empty().then_some(before)) {
                if position > last.next() {
                    let through = Position(position.0 - 1);
                    missing.push(LogFinding::Removed { from: last.next(), through });
                }
                last = last.max(position);
            }
        }
        Ok(missing)
    }

    /// The event near by whose link fits where `sealed` is, if there is one.
    async fn sealed_at(
        &self,
        sealed: &SealedEvent,
        broken: &Break,
    ) -> Result<Option<SealedEvent>, EngineError> {
        let scope = sealed.event.tenant.clone().map_or(Scope::Everyone, Scope::Tenant);
        let near = self.store().events(&scope, sealed.position, NEAR).await?;
        let own = |other: &&SealedEvent| other.event.tenant == sealed.event.tenant;
        let fits = |other: &&SealedEvent| {
            let links = broken.heads.iter().filter_map(|head| head.link(&other.event, sealed.position).ok());
            links.into_iter().any(|link| link == other.hash)
        };
        Ok(self.displaced.iter().chain(&near).filter(own).find(fits).cloned())
    }
}
