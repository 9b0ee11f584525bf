//! The in-memory reference store of Aegis.
