//! Tests of the planner; `lines` has one per line of the rules, found by its words.

mod kit;
mod lines;
