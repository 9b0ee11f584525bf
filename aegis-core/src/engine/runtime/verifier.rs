//! Reading the event log to see whether it is what it was.

use std::{collections::BTreeMap, fmt};

use super::{Core, anchors::read_anchors, history};
use crate::{
    engine::EngineError,
    model::{Anchor, Position, SealedEvent, TenantId},
    rules::{Break, ChainCheck, ChainVerification, LogFinding},
    seams::{LogStart, ObjectStorage, Scope, Store, StoreError, report},
};

/// How many events one read takes.
const BATCH: usize = 1000;
/// How many findings are told one by one.
const TOLD: usize = 100;
/// How often a log is read whose beginning is let go meanwhile.
const ATTEMPTS: usize = 3;
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
            write!(f, " (those up to position {from} were let go)")?;
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

/// Verifies the log in scope, from where it starts to its end.
pub(crate) async fn verify_log(core: &Core, scope: Scope) -> Result<LogVerification, EngineError> {
    for _ in 0..ATTEMPTS {
        let verified = async {
            let mut verifier = Verifier::begin(core, scope.clone()).await?;
            while verifier.read(&|_: &SealedEvent| true).await? {}
            verifier.finish().await
        };
        match verified.await {
            // It was let go while it was read: begin where it starts now.
            Err(EngineError::Store(StoreError::LogPruned(_))) => {}
            verified => return verified,
        }
    }
    Err(EngineError::Unavailable("the log's beginning is being let go faster than it can be read".to_owned()))
}

/// Reads the log once, page by page.
pub(super) struct Verifier<'a> {
    core: &'a Core,
    scope: Scope,
    start: LogStart,
    /// The newest position that was read.
    last: Position,
    chains: BTreeMap<Option<TenantId>, ChainCheck>,
    /// Events that were met where others were sealed.
    displaced: Vec<SealedEvent>,
    verified: LogVerification,
}

impl<'a> Verifier<'a> {
    /// One that has read nothing yet, but what was anchored: what is anchored meanwhile may be of events
    /// that are not read any more.
    pub(super) async fn begin(core: &'a Core, scope: Scope) -> Result<Self, EngineError> {
        let start = core.store.log_start().await?;
        let mut verifier = Self {
            core,
            scope,
            last: start.position,
            start,
            chains: BTreeMap::new(),
            displaced: Vec::new(),
            verified: LogVerification::default(),
        };
        verifier.look_for_the_start().await?;
        let mut anchors = verifier.anchors().await?;
        if let Scope::Tenant(tenant) = &verifier.scope {
            anchors.entry(Some(tenant.clone())).or_default();
        }
        for (tenant, anchors) in anchors {
            let chain = verifier.chain(tenant.clone(), anchors);
            verifier.chains.insert(tenant, chain);
        }
        Ok(verifier)
    }

    fn store(&self) -> &dyn Store {
        &*self.core.store
    }

    fn chain(&self, tenant: Option<TenantId>, anchors: Vec<Anchor>) -> ChainCheck {
        let head = self.start.head(&tenant);
        ChainCheck::new(tenant, self.start.position, head, anchors)
    }

    /// Where anchors and starts of what is read may lie.
    fn storages(&self) -> Vec<&'a dyn ObjectStorage> {
        let is_in_scope = |tenants: &[TenantId]| match &self.scope {
            Scope::Everyone => true,
            Scope::Tenant(tenant) => tenants.contains(tenant),
        };
        let locations = self.core.locations.iter();
        locations.filter(|it| is_in_scope(&it.tenants)).map(|it| &*it.storage).collect()
    }

    /// Looks for what vouches for a start of the log that is not its first event.
    async fn look_for_the_start(&mut self) -> Result<(), EngineError> {
        if self.start.position == Position::START {
            return Ok(());
        }
        let storages = self.storages();
        for storage in &storages {
            match history::vouches(*storage, &self.start).await {
                Ok(true) => return Ok(()),
                Ok(false) => {}
                Err(error) => self.verified.note(LogFinding::AnchorUnreadable {
                    location: storage.uri().clone(),
                    key: history::FOLDER.to_owned(),
                    reason: report(&error).to_string(),
                }),
            }
        }
        if self.store().log_start().await? != self.start {
            // More was let go since, and what vouched for the start before with it.
            return Err(StoreError::LogPruned(self.start.position).into());
        }
        if !storages.is_empty() {
            self.verified.note(LogFinding::StartCutOff { start: self.start.position });
        }
        Ok(())
    }

    /// Reads a page, as far as `goes_on` holds; whether there may be more.
    pub(super) async fn read(
        &mut self,
        goes_on: &(impl Fn(&SealedEvent) -> bool + Sync),
    ) -> Result<bool, EngineError> {
        let events = self.store().events(&self.scope, self.last, BATCH).await?;
        let Some(newest) = events.iter().map(|sealed| sealed.position).max() else { return Ok(false) };
        let mut before = self.last;
        for sealed in &events {
            if !goes_on(sealed) {
                self.last = before;
                return Ok(false);
            }
            self.check(before, sealed).await?;
            before = before.max(sealed.position);
        }
        self.last = newest;
        Ok(true)
    }

    /// Where the log starts if what was read is let go, and what was found so far.
    pub(super) async fn so_far(&self) -> Result<(LogStart, &LogVerification), EngineError> {
        let mut start = LogStart { position: self.last, ..self.start.clone() };
        if start.log.is_none() {
            let first = self.store().events(&Scope::Everyone, Position::START, 1).await?;
            start.log = first.first().map(|sealed| sealed.event.id.changeset);
        }
        for (tenant, chain) in &self.chains {
            if let Some(head) = chain.head() {
                start.chains.insert(tenant.clone(), head);
            }
        }
        Ok((start, &self.verified))
    }

    /// What it came to, once everything was read.
    async fn finish(mut self) -> Result<LogVerification, EngineError> {
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
        let tenant = match &self.scope {
            Scope::Everyone => None,
            Scope::Tenant(tenant) => Some(tenant.clone()),
        };
        for storage in self.storages() {
            let (anchors, findings) = read_anchors(self.store(), storage, tenant.as_ref()).await?;
            for anchor in anchors {
                chains.entry(anchor.tenant.clone()).or_default().push(anchor);
            }
            findings.into_iter().for_each(|finding| self.verified.note(finding));
        }
        Ok(chains)
    }

    /// Checks one event; `before` is the position of the one that was read before it.
    async fn check(&mut self, before: Position, sealed: &SealedEvent) -> Result<(), EngineError> {
        if sealed.position <= before && before > self.start.position {
            self.verified.note(LogFinding::Reordered { position: before, belongs: sealed.position });
        } else if matches!(self.scope, Scope::Everyone) && sealed.position > before.next() {
            let through = Position(sealed.position.0 - 1);
            self.verified.note(LogFinding::Removed { from: before.next(), through });
        }
        let tenant = &sealed.event.tenant;
        if !self.chains.contains_key(tenant) {
            let chain = self.chain(tenant.clone(), Vec::new());
            self.chains.insert(tenant.clone(), chain);
        }
        let broken = self.chains.get_mut(tenant).and_then(|chain| chain.follow(sealed));
        if let Some(broken) = broken {
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
