//! Conformance suites: one named test per behaviour that a seam promises.
//!
//! Each suite is a list of public async functions, one per behaviour, and a macro that expands to
//! one `#[tokio::test]` for each. A backend writes a harness and one line:
//!
//! ```text
//! aegis_core::object_storage_conformance!(MyHarness);
//! ```

pub mod driver;
pub mod object_storage;
pub mod store;
