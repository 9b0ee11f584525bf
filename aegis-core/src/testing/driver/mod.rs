//! A driver in memory that does what a script says.

mod browse;
mod cleaning;
mod mutant;
mod mutation;
mod refusal;
mod restore;
mod run;
mod script;
mod state;
mod world;

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{BoxStream, StreamExt};

pub use mutant::MutantDriver;
pub use mutation::DriverMutation;
pub(in crate::testing) use refusal::error_of;
pub use script::Script;
pub use state::Effects;
use state::{Death, State};

use crate::{
    model::{
        BackupKind, Consistency, NamespaceName, OperationId, RestoreTarget, StorageUri, TenantId, Timestamp,
        VerificationLevel,
    },
    seams::{
        BackupDriver, BrowsePage, BrowseRequest, Capabilities, Clock, DriverError, Feature, InventoryItem,
        InventoryPage, InventoryRequest, Observation, Operation, RestorePreview, RestoreWork, WorkKind,
    },
};

/// A [`BackupDriver`] over namespaces of small files in memory, whose time is the injected clock's.
///
/// Without a script each operation is accepted, takes as long as its kind does, and completes; what
/// it does to the world happens when it ends. The same calls at the same instants give the same
/// answers. Clones are handles to the same world.
///
/// ```
/// use std::{sync::Arc, time::Duration};
/// use aegis_core::{model::{NamespaceName, Timestamp}, seams::WorkKind};
/// use aegis_core::testing::{ManualClock, Script, ScriptedDriver};
///
/// let clock = ManualClock::starting_at(Timestamp::from_seconds(1_770_393_600));
/// let driver = ScriptedDriver::new(Arc::new(clock.clone()))
///     .with_namespace(NamespaceName::new("app")?, [("config.toml", "debug = false")])
///     .with_duration(WorkKind::Backup, Duration::from_secs(90));
/// driver.script_next(WorkKind::Backup, Script::failing("the disk is full"));
/// # Ok::<(), aegis_core::model::NameError>(())
/// ```
#[derive(Clone)]
pub struct ScriptedDriver {
    capabilities: Arc<Capabilities>,
    clock: Arc<dyn Clock>,
    state: Arc<Mutex<State>>,
}

impl ScriptedDriver {
    /// How long an operation takes unless something else is said.
    pub const USUAL_DURATION: Duration = Duration::from_secs(60);

    /// A driver without namespaces that can do everything but volumes, chains and points in time.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        let features = Feature::ALL
            .iter()
            .copied()
            .filter(|feature| !matches!(feature, Feature::Volumes | Feature::Chains | Feature::PointInTime));
        let levels = [
            VerificationLevel::Present,
            VerificationLevel::Checksummed,
            VerificationLevel::Structured,
            VerificationLevel::Restored,
        ];
        let capabilities = Capabilities::new("scripted", Consistency::InstantSnapshot)
            .with_kinds(BackupKind::ALL.iter().copied())
            .with_verification(levels)
            .with_features(features);
        Self { capabilities: Arc::new(capabilities), clock, state: Arc::default() }
    }

    /// With these capabilities instead.
    #[must_use]
    pub fn with_capabilities(mut self, capabilities: Capabilities) -> Self {
        self.capabilities = Arc::new(capabilities);
        self
    }

    /// With a namespace that holds these files.
    #[must_use]
    pub fn with_namespace<P, B>(self, name: NamespaceName, files: impl IntoIterator<Item = (P, B)>) -> Self
    where
        P: Into<String>,
        B: Into<Bytes>,
    {
        let files = files.into_iter().map(|(path, bytes)| (path.into(), bytes.into())).collect();
        self.state().world.namespaces.insert(name, files);
        self
    }

    /// With a folder below which restores may go.
    #[must_use]
    pub fn with_restore_root(self, root: impl Into<String>) -> Self {
        self.state().world.restore_roots.push(root.into());
        self
    }

    /// With operations of `kind` that take so long.
    #[must_use]
    pub fn with_duration(self, kind: WorkKind, duration: Duration) -> Self {
        self.state().durations.insert(kind, duration);
        self
    }

    /// With a storage that locks each backup against deletion for so long.
    #[must_use]
    pub fn with_object_lock(self, lock: Duration) -> Self {
        self.state().lock = Some(lock);
        self
    }

    /// With work that runs elsewhere: [`lose_process`](Self::lose_process) leaves it running.
    #[must_use]
    pub fn outliving_its_process(self) -> Self {
        self.state().outlives = true;
        self
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state after everything that was due by now.
    fn current(&self) -> MutexGuard<'_, State> {
        let now = run::Now { wall: self.clock.now(), monotonic: self.clock.monotonic() };
        let mut state = self.state();
        state.pass(now);
        state
    }

    /// The state, unless the driver is cut off.
    fn reach(&self, doing: &str) -> Result<MutexGuard<'_, State>, DriverError> {
        let state = self.current();
        if state.is_cut_off {
            return Err(DriverError::unavailable(format!(
                "the scripted driver is cut off: could not {doing}"
            )));
        }
        Ok(state)
    }
}

/// Scripts.
impl ScriptedDriver {
    /// The operation follows `script` whenever it is started.
    pub fn script(&self, operation: OperationId, script: Script) {
        self.state().scripts.own.insert(operation, script);
    }

    /// The next operation of `kind` follows `script`; several are followed in turn.
    pub fn script_next(&self, kind: WorkKind, script: Script) {
        self.state().scripts.next.entry(kind).or_default().push_back(script);
    }

    /// Operations of `kind` follow `script` from now on, unless they have another.
    pub fn script_usual(&self, kind: WorkKind, script: Script) {
        self.state().scripts.usual.insert(kind, script);
    }
}

/// Disasters.
impl ScriptedDriver {
    /// The driver's process ends and another begins: what ran in it is lost, unless the work
    /// [outlives](Self::outliving_its_process) it. What is in storage stays.
    pub fn lose_process(&self) {
        self.current().lose_process(Death::Noticed);
    }

    /// As [`lose_process`](Self::lose_process), and nothing tells that the work was ever begun: it
    /// is absent afterwards.
    pub fn lose_process_without_trace(&self) {
        self.current().lose_process(Death::WithoutTrace);
    }

    /// Every call answers `Unavailable` until [`reconnect`](Self::reconnect); work goes on.
    pub fn cut_off(&self) {
        self.state().is_cut_off = true;
    }

    /// Calls are answered again.
    pub fn reconnect(&self) {
        self.state().is_cut_off = false;
    }

    /// Spoils a backup so that verification finds it at `level`, and restores fail; `false` if it
    /// is not there.
    #[must_use]
    pub fn damage(&self, handle: &str, level: VerificationLevel) -> bool {
        let mut state = self.current();
        state.world.artifacts.get_mut(handle).map(|artifact| artifact.damage = Some(level)).is_some()
    }

    /// Removes a backup behind everyone's back; `false` if it is not there.
    #[must_use]
    pub fn vanish(&self, handle: &str) -> bool {
        self.current().world.artifacts.remove(handle).is_some()
    }
}

/// The world.
impl ScriptedDriver {
    /// Writes a file of a namespace, or of a folder that was restored to.
    pub fn write(&self, target: &RestoreTarget, path: impl Into<String>, bytes: impl Into<Bytes>) {
        self.current().world.files_at_mut(target).insert(path.into(), bytes.into());
    }

    /// Removes a file.
    pub fn remove(&self, target: &RestoreTarget, path: &str) {
        self.current().world.files_at_mut(target).remove(path);
    }

    /// Reads a file.
    #[must_use]
    pub fn read(&self, target: &RestoreTarget, path: &str) -> Option<Bytes> {
        self.current().world.files_at(target)?.get(path).cloned()
    }

    /// Puts a backup into storage that Aegis did not make.
    pub fn add_foreign_backup(&self, handle: impl Into<String>, location: StorageUri, started_at: Timestamp) {
        self.current().add_foreign_backup(handle.into(), location, started_at);
    }

    /// Everything that lies in storage, by handle.
    #[must_use]
    pub fn backups(&self) -> Vec<InventoryItem> {
        self.current().world.artifacts.values().map(world::Artifact::item).collect()
    }
}

/// What happened.
impl ScriptedDriver {
    /// What was asked of an operation, and how often it took effect.
    #[must_use]
    pub fn effects(&self, operation: OperationId) -> Effects {
        self.current().effects.get(&operation).copied().unwrap_or_default()
    }

    /// Every operation that was ever begun, in that order.
    #[must_use]
    pub fn begun(&self) -> Vec<Operation> {
        self.state().begun.clone()
    }

    /// How many operations run or wait now.
    #[must_use]
    pub fn running(&self) -> usize {
        self.current().runs.values().filter(|run| run.is_running()).count()
    }

    /// Tells everyone who listens that something about `operation` may have changed.
    pub fn hint(&self, operation: OperationId) {
        self.state().hint(operation);
    }
}

impl fmt::Debug for ScriptedDriver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScriptedDriver").field("driver", &self.capabilities.driver).finish_non_exhaustive()
    }
}

#[async_trait]
impl BackupDriver for ScriptedDriver {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    async fn namespaces(&self) -> Result<Vec<NamespaceName>, DriverError> {
        Ok(self.reach("list namespaces")?.world.namespaces.keys().cloned().collect())
    }

    async fn start(&self, operation: &Operation) -> Result<(), DriverError> {
        self.reach("start")?.start(&self.capabilities, operation)
    }

    async fn observe(&self, operation: &Operation) -> Result<Observation, DriverError> {
        Ok(self.reach("observe")?.observe(operation))
    }

    async fn cancel(&self, operation: &Operation) -> Result<(), DriverError> {
        let mut state = self.reach("cancel")?;
        refusal::require_cancel(&self.capabilities, operation.work.kind())?;
        state.cancel(operation)
    }

    async fn preview(
        &self,
        _tenant: &TenantId,
        restore: &RestoreWork,
    ) -> Result<RestorePreview, DriverError> {
        let state = self.reach("preview")?;
        refusal::require(&self.capabilities, Feature::Preview)?;
        refusal::check_restore(&state.world, &self.capabilities, restore)?;
        Ok(restore::RestorePlan::new(&state.world, restore)?.preview())
    }

    async fn browse(&self, request: &BrowseRequest) -> Result<BrowsePage, DriverError> {
        let state = self.reach("browse")?;
        refusal::require(&self.capabilities, Feature::Browse)?;
        let artifact = state.world.artifact(&request.record);
        browse::browse(artifact.ok_or_else(|| refusal::unknown_record(&request.record))?, request)
    }

    async fn inventory(&self, request: &InventoryRequest) -> Result<InventoryPage, DriverError> {
        let state = self.reach("list backups")?;
        refusal::require(&self.capabilities, Feature::Inventory)?;
        Ok(browse::inventory(&state.world, request))
    }

    fn hints(&self) -> BoxStream<'static, OperationId> {
        self.state().listen().boxed()
    }
}

#[cfg(test)]
mod tests;
