//! Tests of the planner: `lines` has one per line of the rules, found by its words; `traps` one per
//! fault that other systems are known for; `oracle` compares with a naive second implementation;
//! `histories` lets whole lives of repositories run.

mod histories;
mod kit;
mod lines;
mod oracle;
mod traps;
