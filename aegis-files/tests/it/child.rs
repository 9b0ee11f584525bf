//! Parts of tests that need a process of their own: this binary again, for the same test, which then
//! finds [`home`] and plays the child.

use std::{
    env,
    path::{Path, PathBuf},
    process::{Child, Command},
};

/// Names the machine's directory to the child.
const HOME: &str = "AEGIS_TEST_CHILD_HOME";

/// Starts the test `name` of this binary on the machine at `home`, with `wrapper` before it.
pub fn start(wrapper: &[&str], name: &str, home: &Path) -> Child {
    let this = env::current_exe().unwrap();
    let mut words = wrapper.iter().map(std::ffi::OsString::from).collect::<Vec<_>>();
    words.push(this.into_os_string());
    let (program, before) = words.split_first().unwrap();
    Command::new(program).args(before).args(["--exact", name, "--nocapture"]).env(HOME, home).spawn().unwrap()
}

/// The machine's directory; `None` in the parent.
pub fn home() -> Option<PathBuf> {
    env::var_os(HOME).map(PathBuf::from)
}
