//! The filters that a mutant can overlook.

use crate::seams::{
    DrTestQuery, ExecutionQuery, JobOrder, JobQuery, PlanQuery, PolicyQuery, RecordQuery, RetentionRunQuery,
    Scope, SlotQuery, VerificationQuery, Window,
};

/// A query that can lose a filter.
pub(super) trait Narrowed: Clone {
    /// Asks as if `filter` was not set.
    fn ignore(&mut self, filter: StoreFilter);

    fn window(&mut self) -> &mut Window;
}

macro_rules! filters {
    ($($query:ident { $($filter:ident: $field:ident = $unset:expr,)* })*) => {
        /// A field of a query.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum StoreFilter {
            $($(
                #[doc = concat!("[`", stringify!($query), "::", stringify!($field), "`].")]
                $filter,
            )*)*
        }

        $(impl Narrowed for $query {
            fn ignore(&mut self, filter: StoreFilter) {
                $(if filter == StoreFilter::$filter {
                    self.$field = $unset;
                })*
            }

            fn window(&mut self) -> &mut Window {
                &mut self.window
            }
        })*
    };
}

filters! {
    JobQuery {
        JobScope: scope = Scope::Everyone,
        JobCluster: cluster = None,
        JobStatuses: statuses = Vec::new(),
        JobLive: live = None,
        JobPolicy: policy = None,
        JobLocation: location = None,
        JobFrom: from = None,
        JobTo: to = None,
        JobHidden: hidden = true,
        JobBefore: before = None,
        JobDispatch: order = JobOrder::NewestFirst,
    }
    RecordQuery {
        RecordScope: scope = Scope::Everyone,
        RecordCluster: cluster = None,
        RecordPolicy: policy = None,
        RecordManual: manual = false,
        RecordStates: states = Vec::new(),
        RecordLocation: location = None,
        RecordBackend: backend = None,
        RecordChain: chain = None,
        RecordFrom: from = None,
        RecordTo: to = None,
        RecordDueBy: due_by = None,
    }
    PlanQuery {
        PlanScope: scope = Scope::Everyone,
        PlanCluster: cluster = None,
        PlanStatus: status = None,
        PlanRecord: record = None,
    }
    ExecutionQuery {
        ExecutionScope: scope = Scope::Everyone,
        ExecutionCluster: cluster = None,
        ExecutionPlan: plan = None,
        ExecutionStatus: status = None,
        ExecutionActiveAfter: active_after = None,
    }
    PolicyQuery {
        PolicyScope: scope = Scope::Everyone,
        PolicyIds: ids = Vec::new(),
        PolicyCluster: cluster = None,
        PolicyEnabled: enabled = None,
    }
    SlotQuery {
        SlotScope: scope = Scope::Everyone,
        SlotPolicy: policy = None,
        SlotFrom: from = None,
        SlotTo: to = None,
    }
    VerificationQuery {
        VerificationScope: scope = Scope::Everyone,
        VerificationCluster: cluster = None,
        VerificationRecord: record = None,
        VerificationStatus: status = None,
    }
    DrTestQuery {
        DrTestScope: scope = Scope::Everyone,
        DrTestCluster: cluster = None,
        DrTestPolicy: policy = None,
        DrTestRecord: record = None,
        DrTestStatus: status = None,
        DrTestActiveAfter: active_after = None,
    }
    RetentionRunQuery {
        RetentionRunScope: scope = Scope::Everyone,
        RetentionRunCluster: cluster = None,
        RetentionRunPolicy: policy = None,
    }
}
