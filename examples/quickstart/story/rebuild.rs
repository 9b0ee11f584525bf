//! The beginning: the catalogue, from what lies in storage.

use std::time::Duration;

use aegis::{
    engine::{NewPolicy, PolicyChange, Rebuilt},
    model::{
        BackupKind, DisplayName, NamespaceName, NamespaceSelection, PolicyId, RetentionRules, Rpo, Rto,
        Schedule, Seconds,
    },
    seams::{PolicyQuery, Scope},
};

use super::{Faults, Policies, Story};
use crate::{engine::Engine, problem::Result, text};

/// How often the directory is backed up, in seconds.
const PERIOD: u32 = 10;
/// How many recovery points of the user's data stay.
const KEEP: u32 = 2;
/// How many of the copy stay.
const KEEP_OF_COPY: u32 = 1;
/// How much may be lost.
const RPO: Duration = Duration::from_secs(30);
/// How long getting back may take.
const RTO: Duration = Duration::from_secs(15 * 60);

impl Story<'_> {
    /// Brings the catalogue back and switches the policies on, or makes them.
    pub(super) async fn rebuild(&self, engine: &Engine, faults: &mut Faults) -> Result<Policies> {
        self.ui.step(1, "Rebuild the catalogue from the repository and its manifests");
        let rebuilt = {
            let _doing = self.ui.doing("reading what lies in storage");
            self.watch.tenant.rebuild(&engine.cluster, &engine.location).await?
        };
        self.tell_rebuilt(&rebuilt, faults);
        self.watch.tenant.resume_retention().await?;
        let live = self.ensure(policy(&engine.live, Period::TenSeconds, engine)?).await?;
        let copy = self.ensure(policy(&engine.copy, Period::ByHand, engine)?).await?;
        Ok(Policies { live, copy })
    }

    fn tell_rebuilt(&self, rebuilt: &Rebuilt, faults: &mut Faults) {
        let count = u64::try_from(rebuilt.records).unwrap_or(u64::MAX);
        if count == 0 && rebuilt.unreadable.is_empty() && rebuilt.without_data.is_empty() {
            self.ui.good("nothing lies there yet");
        } else {
            self.ui.good(format!(
                "{} back in the catalogue, which was empty",
                text::count(count, "recovery point")
            ));
            let policies = u64::try_from(rebuilt.policies).unwrap_or(u64::MAX);
            self.ui.note(format!(
                "{} came back, too, switched off; retention was frozen. Both go on now",
                text::count(policies, "policy")
            ));
        }
        for lost in &rebuilt.without_data {
            self.ui.bad(format!("a manifest whose data is gone: {lost}"));
            faults.add(format!("the data of a recovery point is gone: {lost}"));
        }
        for bad in &rebuilt.unreadable {
            self.ui.bad(format!("a manifest that can't be read: {bad}"));
            faults.add(format!("a manifest can't be read: {bad}"));
        }
        if !rebuilt.without_manifest.is_empty() {
            let count = u64::try_from(rebuilt.without_manifest.len()).unwrap_or(u64::MAX);
            self.ui.note(format!(
                "{} without a manifest: never finished, so not counted",
                text::count(count, "snapshot")
            ));
        }
    }

    /// The policy of that name as it should be, whether it came back or not.
    async fn ensure(&self, policy: NewPolicy) -> Result<PolicyId> {
        let known = self.watch.tenant.policies(PolicyQuery::new(Scope::Everyone)).await?;
        let known = known.items.into_iter().find(|view| view.policy.name == policy.name);
        let Some(known) = known else { return Ok(self.watch.tenant.create_policy(policy).await?.policy.id) };
        let mut change = PolicyChange::default();
        change.enabled = Some(policy.enabled);
        change.namespaces = Some(policy.namespaces);
        change.schedule = Some(policy.schedule);
        change.retention = Some(policy.retention);
        change.rpo = Some(policy.rpo);
        change.rto = Some(policy.rto);
        Ok(self.watch.tenant.update_policy(known.policy.id, change).await?.policy.id)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Period {
    TenSeconds,
    /// It only runs when it is told to.
    ByHand,
}

fn policy(namespace: &NamespaceName, period: Period, engine: &Engine) -> Result<NewPolicy> {
    let keep = match period {
        Period::TenSeconds => KEEP,
        Period::ByHand => KEEP_OF_COPY,
    };
    let mut retention = RetentionRules::last(keep);
    retention.grace = Duration::ZERO;
    let mut policy = NewPolicy::new(
        DisplayName::new(namespace.as_str())?,
        engine.cluster.clone(),
        NamespaceSelection::only([namespace.clone()])?,
        Schedule::Every { period: Seconds::new(PERIOD)? },
        retention,
    );
    policy.kind = BackupKind::Incremental;
    policy.enabled = period == Period::TenSeconds;
    policy.rpo = Some(Rpo(RPO));
    policy.rto = Some(Rto(RTO));
    Ok(policy)
}
