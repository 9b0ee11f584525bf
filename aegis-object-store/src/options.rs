//! How a storage is opened.

/// When a local write is acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Durability {
    /// After it has reached the disk: it survives a power cut.
    #[default]
    Synced,
    /// After the operating system has it: it survives a crash of the process, and is still whole
    /// or absent then, but not a power cut. For tests and scratch data.
    Buffered,
}
