//! `chorale testnet up` as a process of a test.

use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
};

use serde_json::Value;

/// Stops the network's processes whatever happens to the test.
pub(crate) struct Up(pub(crate) Child);

impl Drop for Up {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts the network in `dir`; what it says.
pub(crate) fn up(dir: &Path) -> (Up, impl Iterator<Item = Value>) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_chorale"))
        .args(["testnet", "up", "--dir", "net", "--json"])
        .current_dir(dir)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    (Up(child), lines.map_while(Result::ok).filter_map(|line| serde_json::from_str(&line).ok()))
}
