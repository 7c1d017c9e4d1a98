//! The service that a command asks: a part of the command line, like `main.rs`.

use std::{
    env,
    path::{Path, PathBuf},
};

use anyhow::Context;
use clap::Args;
use jobtracker_client::JobTrackerClient;

/// Has the token of the caller, unless a file is named. No argument has it: others on the machine
/// see the arguments of a process.
const VARIABLE: &str = "JOBTRACKER_TOKEN";

/// Names a file with the certificates of authorities to trust.
const CA_VARIABLE: &str = "JOBTRACKER_CA";

/// Which service a command asks, and as whom.
#[derive(Args)]
pub struct ServiceArguments {
    /// The service
    #[arg(long, global = true, default_value = "http://127.0.0.1:8840")]
    url: String,
    /// A file with a token, instead of the variable JOBTRACKER_TOKEN
    #[arg(long, global = true, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// A file with certificates in PEM of authorities to trust for the service, instead of the
    /// variable JOBTRACKER_CA, which names such a file
    #[arg(long, global = true, value_name = "FILE")]
    ca: Option<PathBuf>,
}

impl ServiceArguments {
    pub fn client(self) -> anyhow::Result<JobTrackerClient> {
        client(&self.url, self.token_file.as_deref(), self.ca)
    }
}

/// A client of the service at an address.
pub fn client(
    url: &str,
    token_file: Option<&Path>,
    ca: Option<PathBuf>,
) -> anyhow::Result<JobTrackerClient> {
    let own = match token_file {
        Some(file) => std::fs::read_to_string(file)
            .with_context(|| format!("cannot read {}", file.display()))?,
        None => env::var(VARIABLE).unwrap_or_default(),
    };
    let mut client = JobTrackerClient::builder(url);
    if !own.trim().is_empty() {
        client = client.bearer_token(own.trim());
    }
    let ca = ca.or_else(|| env::var_os(CA_VARIABLE).filter(|ca| !ca.is_empty()).map(Into::into));
    if let Some(file) = ca {
        let pem = std::fs::read(&file);
        let pem = pem.with_context(|| format!("cannot read {}", file.display()))?;
        client = client.root_certificate(pem);
    }
    Ok(client.build()?)
}
