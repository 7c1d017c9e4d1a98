//! `jobtracker serve`: a part of the command line, like `main.rs`.

use std::{
    io::{self, Write},
    net::SocketAddr,
    path::PathBuf,
    process,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context;
use clap::Args;
use jobtracker_server::{
    Config, ConfigError, Listen, Overrides, RunningServer, Server, StoreConfig, StoreKind,
    Telemetry,
};
use jobtracker_store::Store;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::{
    descriptors,
    store::{self, StoreName},
};

#[derive(Args)]
pub struct Serve {
    /// A TOML file; the keys are those of server/config.default.toml
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The directory of the fjall store
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Where to listen; a name is looked up
    #[arg(long, value_name = "ADDR:PORT")]
    listen: Option<Listen>,
    /// The store
    #[arg(long)]
    store: Option<StoreName>,
    /// Serve an address that others can reach without a token
    #[arg(long)]
    allow_open: bool,
}

pub fn serve(arguments: Serve) -> anyhow::Result<()> {
    let Serve { config: file, data_dir, listen, store, allow_open } = arguments;
    let store = store.map(StoreKind::from);
    let source = Source { file, overrides: Overrides { listen, data_dir, store, allow_open } };
    let config = source.read()?;
    let telemetry = Telemetry::start(&config.log);
    let runtime = store::runtime(config.store.kind)?;
    let done = runtime.block_on(run(&source, config, &telemetry));
    // Tasks that are left wait for a file or an output that may never come.
    runtime.shutdown_background();
    done
}

/// The sources of the configuration, at the start and when it is read again.
#[derive(Clone)]
struct Source {
    file: Option<PathBuf>,
    overrides: Overrides,
}

impl Source {
    fn read(&self) -> Result<Config, ConfigError> {
        Config::load(self.file.as_deref(), self.overrides.clone())
    }
}

async fn run(source: &Source, mut config: Config, telemetry: &Telemetry) -> anyhow::Result<()> {
    let mut signals = Signals::catch()?;
    let address = config.listen_address()?;
    let begun = Instant::now();
    let opened = store::open(&config.store).await?;
    let opening = begun.elapsed();
    let mut fitted = descriptors::keep_for_store(config.clone(), store::descriptors(&config.store));
    // A second resolution of the name could give another address.
    fitted.server.listen = address.into();
    let mut server = match Server::start(&fitted, Arc::clone(&opened)) {
        Ok(server) => server,
        Err(error) => {
            opened.close().await;
            return Err(error.into());
        }
    };
    log_start(&server.url(), &config.store, &*opened, opening);
    let url = server.url();
    // For scripts that start the service on any free port. The service serves other clients too, so
    // it continues when this line cannot be written, and while it waits for its reader.
    tokio::task::spawn_blocking(move || {
        let _ = writeln!(io::stdout(), "jobtracker listens on {url}");
    });
    let failed = loop {
        tokio::select! {
            wanted = signals.next() => match wanted {
                // A configuration file may be one that never ends.
                Wanted::Reload => tokio::select! {
                    () = reload(source, &mut config, &server, telemetry) => {}
                    _ = signals.end() => break None,
                },
                Wanted::End => break None,
            },
            error = server.failed() => break Some(error),
        }
    };
    tokio::select! {
        () = server.stop() => failed.map_or(Ok(()), |error| {
            Err(anyhow::Error::from(error).context("connections cannot be taken"))
        }),
        code = signals.end() => {
            tracing::warn!("ended at once, by a second signal; what was answered is kept");
            telemetry.close();
            process::exit(code)
        }
    }
}

/// What an operator needs to know about a start, in one line.
fn log_start(url: &str, config: &StoreConfig, store: &dyn Store, opening: Duration) {
    let jobs = store.gauges().into_iter().find(|(name, ..)| *name == "store_jobs");
    let in_folder = config.kind == StoreKind::Fjall;
    let data_dir = in_folder.then(|| config.data_dir.display().to_string());
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        address = url,
        store = config.kind.name(),
        data_dir,
        jobs = jobs.map(|(.., jobs)| jobs),
        opening_ms = opening.as_millis() as u64,
        "jobtracker serves"
    );
}

/// Applies what can change while the service runs: the token, the certificate, the log's filter. If
/// any part of the configuration is invalid, all stays as it was.
async fn reload(
    source: &Source,
    config: &mut Config,
    server: &RunningServer,
    telemetry: &Telemetry,
) {
    let source = source.clone();
    // The read includes files and the resolution of a name.
    let read = tokio::task::spawn_blocking(move || source.read()).await;
    let new = match read.map_err(anyhow::Error::from).and_then(|read| Ok(read?)) {
        Ok(new) => new,
        Err(error) => {
            tracing::error!("not read again, so what was read before stays: {error:#}");
            return;
        }
    };
    if opens(&new, config, server.addr()) {
        tracing::error!(
            "not read again, so what was read before stays: there is no auth.token any more, and \
             {} can be reached by others; set one and send SIGHUP again, or restart with \
             --allow-open (server.allow_open = true)",
            server.addr()
        );
        return;
    }
    let certificate = match server.read_certificate(&new.server) {
        Ok(is_other) => {
            if is_other {
                "changed"
            } else {
                "same"
            }
        }
        Err(error) => {
            tracing::error!("not read again, so what was read before stays: {error}");
            return;
        }
    };
    let token = if new.auth.token == config.auth.token { "same" } else { "changed" };
    let filter = if new.log.filter == config.log.filter { "same" } else { "changed" };
    let waiting = new.sections_for_restart(config).join(", ");
    let waiting = (!waiting.is_empty()).then_some(waiting);
    let certificate = new.server.is_encrypted().then_some(certificate);
    let say = || {
        let needs_restart = waiting.as_deref();
        tracing::info!(token, filter, certificate, needs_restart, "configuration read again");
    };
    server.set_token(&new.auth.token);
    // Logged if either of the two filters lets it through.
    let is_heard = tracing::enabled!(tracing::Level::INFO);
    if is_heard {
        say();
    }
    telemetry.set_filter(&new.log.filter);
    if !is_heard {
        say();
    }
    // The other settings are compared with the running ones the next time too.
    (config.auth, config.log.filter) = (new.auth, new.log.filter);
    if config.server.is_encrypted() && new.server.is_encrypted() {
        config.server.tls_cert_file = new.server.tls_cert_file;
        config.server.tls_key_file = new.server.tls_key_file;
    }
}

/// Whether the new configuration would remove the token of a server that others can reach and that
/// was not started to be open. Checking the new configuration is not enough: its address and its
/// permission are those of the next start.
fn opens(new: &Config, running: &Config, address: SocketAddr) -> bool {
    new.auth.token.is_empty() && !address.ip().is_loopback() && !running.server.allow_open
}

enum Wanted {
    End,
    Reload,
}

/// SIGINT and SIGTERM to stop, SIGHUP to read the configuration again. All are caught from the
/// beginning, so that none is missed and none ends the process directly.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hang_up: Signal,
}

impl Signals {
    fn catch() -> anyhow::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt()).context("cannot catch SIGINT")?,
            terminate: signal(SignalKind::terminate()).context("cannot catch SIGTERM")?,
            hang_up: signal(SignalKind::hangup()).context("cannot catch SIGHUP")?,
        })
    }

    async fn next(&mut self) -> Wanted {
        tokio::select! {
            _ = self.interrupt.recv() => Wanted::End,
            _ = self.terminate.recv() => Wanted::End,
            _ = self.hang_up.recv() => Wanted::Reload,
        }
    }

    /// Waits for another signal to stop; answers the exit code for it.
    async fn end(&mut self) -> i32 {
        let number = tokio::select! {
            _ = self.interrupt.recv() => SignalKind::interrupt(),
            _ = self.terminate.recv() => SignalKind::terminate(),
        };
        128 + number.as_raw_value()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_token_is_taken_off_a_server_that_others_can_reach() {
        let (mut new, mut running) = (Config::defaults(), Config::defaults());
        let [reached, local] = ["10.0.0.7:80", "127.0.0.1:80"].map(|text| text.parse().unwrap());
        // The new configuration's own permission is not in force.
        new.server.allow_open = true;
        assert!(opens(&new, &running, reached) && !opens(&new, &running, local));
        running.server.allow_open = true;
        assert!(!opens(&new, &running, reached));
    }
}
