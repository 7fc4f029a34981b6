//! `chorale demo`: the whole way, from nothing to a verified archive.

mod clinics;

use std::path::PathBuf;

use anyhow::Result;
use serde_json::json;

use super::out::Out;

/// See it work: four members, their data and their model from nothing; or yours
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    Data(DataArgs),
}

/// Write the synthetic consortium: public text, four clinics' private facts, a common test
#[derive(Debug, clap::Args)]
struct DataArgs {
    /// The folder to write
    #[arg(long)]
    out: PathBuf,
    #[command(flatten)]
    size: clinics::Size,
    /// Another seed, other facts
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

impl Args {
    pub(crate) fn run(self, out: &Out) -> Result<()> {
        match self.verb {
            Verb::Data(args) => args.run(out),
        }
    }
}

impl DataArgs {
    fn run(self, out: &Out) -> Result<()> {
        let files = clinics::write(&self.out, self.size, self.seed)?;
        let show = |path: &PathBuf| path.display().to_string();
        let silos: Vec<String> = files.silos.iter().map(show).collect();
        let text = format!("wrote {}, {}, {}", show(&files.public), silos.join(", "), show(&files.test));
        out.result(&json!({ "public": show(&files.public), "silos": silos, "test": show(&files.test) }), text);
        Ok(())
    }
}
