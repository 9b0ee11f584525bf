//! Tests of exposure: `lines` has one per line of the rules; `oracle` compares the sweep and the
//! maintained state with looking at every single second.

mod lines;
mod oracle;
