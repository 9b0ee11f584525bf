//! Whether a chain of the event log is what it was: link by link, and against its anchors.

use std::{collections::VecDeque, fmt};

use crate::model::{Anchor, ChainHash, Position, SealedEvent, StorageUri, TenantId};

/// Something that is not as it should be about the event log.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LogFinding {
    /// An event, or its link, is not what was sealed.
    Changed {
        /// Where.
        position: Position,
    },
    /// Events are gone.
    Removed {
        /// The first of them.
        from: Position,
        /// The last of them.
        through: Position,
    },
    /// An event is not where it was sealed.
    Reordered {
        /// Where it is.
        position: Position,
        /// Where it was sealed.
        belongs: Position,
    },
    /// Every link is right, yet the chain does not lead to what was anchored: it was changed and
    /// linked anew.
    Rewritten {
        /// The first anchor that the chain does not lead to.
        anchor: Anchor,
        /// The last position up to which an anchor vouches for it.
        since: Position,
    },
    /// The chain ends before what was anchored.
    CutOff {
        /// The newest anchor.
        anchor: Anchor,
        /// Where the chain ends now.
        ends: Position,
    },
    /// The log's beginning is gone, and no engine wrote down that it let it go.
    StartCutOff {
        /// Where the log starts now.
        start: Position,
    },
    /// In a location lie anchors of another log, and none may be there but those of this one.
    AnotherLog {
        /// The location.
        location: StorageUri,
        /// The folder in it.
        folder: String,
    },
    /// Anchors can't be read, so that nothing rests on them.
    AnchorUnreadable {
        /// The location.
        location: StorageUri,
        /// Which object or folder.
        key: String,
        /// Why.
        reason: String,
    },
}

impl fmt::Display for LogFinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Changed { position } => {
                write!(f, "the event at position {position} is not the one that was sealed there")
            }
            Self::Removed { from, through } if from == through => {
                write!(f, "the event at position {from} is gone")
            }
            Self::Removed { from, through } => {
                write!(f, "the events from position {from} to {through} are gone")
            }
            Self::Reordered { position, belongs } => {
                write!(f, "the event at position {position} was sealed at position {belongs}")
            }
            Self::Rewritten { anchor, since } => write!(
                f,
                "the {} was changed after position {since} and linked anew: at position {} it has not the hash {} that was anchored at {}",
                Owner(anchor.tenant.as_ref()),
                anchor.position,
                anchor.hash,
                anchor.at
            ),
            Self::CutOff { anchor, ends } => write!(
                f,
                "the {} ends at position {ends}, but position {} with hash {} was anchored at {}: its end was cut off",
                Owner(anchor.tenant.as_ref()),
                anchor.position,
                anchor.hash,
                anchor.at
            ),
            Self::StartCutOff { start } => write!(
                f,
                "the log starts after position {start}, and nothing in storage vouches for that: its beginning was cut off"
            ),
            Self::AnotherLog { location, folder } => write!(
                f,
                "{folder} in {location} holds anchors of another log: if the catalogue was rebuilt, they tell of the log that was lost, and can be put away once that was looked into; if not, the log was replaced"
            ),
            Self::AnchorUnreadable { location, key, reason } => {
                write!(f, "{key} in {location} can't be read, so nothing is proven by it: {reason}")
            }
        }
    }
}

/// Whose chain, for a sentence.
struct Owner<'a>(Option<&'a TenantId>);

impl fmt::Display for Owner<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(tenant) => write!(f, "log of tenant `{tenant}`"),
            None => f.write_str("log of what belongs to no tenant"),
        }
    }
}

/// What the reading of one chain came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainVerification {
    /// Whose; `None` for what belongs to no tenant.
    pub tenant: Option<TenantId>,
    /// How many events there are.
    pub events: u64,
    /// Where it begins; the start if nothing was let go.
    pub begins: Position,
    /// The newest event.
    pub ends: Position,
    /// The newest anchor that it leads to: up to there nobody changed, removed or reordered anything
    /// unseen. `None` if it was never anchored.
    pub anchored: Option<Position>,
}

/// A link that does not fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Break {
    /// The links that the event could follow.
    pub heads: Vec<ChainHash>,
    /// The chain's event before.
    pub previous: Position,
}

/// One chain, followed event by event. Its memory is that of its anchors.
#[derive(Clone, Debug)]
pub struct ChainCheck {
    so_far: ChainVerification,
    /// What the next event may be linked to.
    heads: Vec<ChainHash>,
    anchors: VecDeque<Anchor>,
    rewritten: bool,
}

impl ChainCheck {
    /// A chain whose log starts after `begins` and whose newest link there is `head`, with its anchors, in
    /// any order.
    #[must_use]
    pub fn new(
        tenant: Option<TenantId>,
        begins: Position,
        head: ChainHash,
        mut anchors: Vec<Anchor>,
    ) -> Self {
        anchors.sort_by_key(|anchor| anchor.position);
        anchors.retain(|anchor| anchor.position > begins);
        let so_far = ChainVerification { tenant, events: 0, begins, ends: begins, anchored: None };
        Self { so_far, heads: vec![head], anchors: anchors.into(), rewritten: false }
    }

    /// Goes on to the chain's next event; answers why its link does not fit, if it does not.
    pub fn follow(&mut self, sealed: &SealedEvent) -> Option<Break> {
        let previous = self.so_far.ends;
        self.so_far.events += 1;
        self.so_far.ends = sealed.position;
        let links: Vec<ChainHash> =
            self.heads.iter().filter_map(|head| head.link(&sealed.event, sealed.position).ok()).collect();
        let fits = links.contains(&sealed.hash);
        let heads = std::mem::replace(&mut self.heads, vec![sealed.hash]);
        if fits {
            return None;
        }
        // Either the event was changed or its link: what follows may be linked to both.
        self.heads.extend(links);
        Some(Break { heads, previous })
    }

    /// The newest link that was followed, if there was an event.
    #[must_use]
    pub fn head(&self) -> Option<ChainHash> {
        self.heads.first().copied().filter(|_| self.so_far.events > 0)
    }

    /// Goes on as if the event that was sealed at this place had this link.
    pub fn continue_from(&mut self, hash: ChainHash) {
        self.heads = vec![hash];
    }

    /// Compares with the anchors up to where the chain was followed.
    pub fn compare(&mut self) -> Vec<LogFinding> {
        let mut findings = Vec::new();
        while let Some(anchor) = self.anchors.pop_front_if(|anchor| anchor.position <= self.so_far.ends) {
            if anchor.position < self.so_far.ends {
                findings.push(LogFinding::Removed { from: anchor.position, through: anchor.position });
            } else if self.heads.contains(&anchor.hash) {
                self.so_far.anchored = Some(anchor.position);
            } else if !self.rewritten {
                self.rewritten = true;
                let since = self.so_far.anchored.unwrap_or(self.so_far.begins);
                findings.push(LogFinding::Rewritten { anchor, since });
            }
        }
        findings
    }

    /// Ends the chain: whatever was anchored after its end was cut off.
    #[must_use]
    pub fn finish(mut self) -> (ChainVerification, Option<LogFinding>) {
        let ends = self.so_far.ends;
        let cut_off = self.anchors.pop_back().map(|anchor| LogFinding::CutOff { anchor, ends });
        (self.so_far, cut_off)
    }
}
