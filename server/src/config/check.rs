use std::net::{Ipv6Addr, SocketAddr};

use crate::tls::Certificate;

use super::{
    Config, ConfigError,
    error::{bad, within},
};

/// Longest token in bytes.
const TOKEN_MAX: usize = 512;
/// Shortest token in bytes; a shorter one can be guessed.
const TOKEN_MIN: usize = 8;

/// Checks every number against its bounds, and settings that depend on each other.
pub(super) fn check(config: &Config) -> Result<(), ConfigError> {
    check_server(config)?;
    check_store(config)?;
    check_token(config)?;
    within("access.failed_tries", config.access.failed_tries, 1, 1_000_000)?;
    within("access.audit_days", config.access.audit_days, 1, 36_500)?;
    within("retention.every_seconds", config.retention.every_seconds, 1, 86_400)?;
    within("retention.tombstone_days", config.retention.tombstone_days, 1, 3_650)?;
    within("export.bytes_per_second", config.export.bytes_per_second, 1 << 16, 1 << 34)?;
    within("workers.lease_ms", config.workers.lease_ms, 500, 600_000)?;
    within("workers.assign_ttl_ms", config.workers.assign_ttl_ms, 100, 60_000)?;
    config.proxy.check(!config.auth.token.is_empty())?;
    let engine = &config.engine;
    within("engine.queue_operations", engine.queue_operations, 1, 10_000_000)?;
    within("engine.queue_bytes", engine.queue_bytes, 1 << 20, 1 << 34)?;
    within("engine.group_operations", engine.group_operations, 1, 100_000)?;
    within("engine.group_bytes", engine.group_bytes, 1 << 16, 1 << 30)?;
    within("engine.commits_at_once", engine.commits_at_once, 0, 256)?;
    let commits = &config.commits;
    within("commits.limit_jobs", commits.limit_jobs, 1, 100_000_000)?;
    within("commits.limit_bytes", commits.limit_bytes, 1 << 16, 1 << 40)?;
    within("commits.at_once", commits.at_once, 1, 1_000)?;
    within("commits.silence_timeout_ms", commits.silence_timeout_ms, 100, 600_000)?;
    within("commits.receive_timeout_ms", commits.receive_timeout_ms, 1_000, 86_400_000)?;
    within("commits.keep_hours", commits.keep_hours, 25, 24 * 366)?;
    config.callbacks.check()?;
    config.smtp.check()?;
    if let Err(error) = tracing_subscriber::EnvFilter::try_new(&config.log.filter) {
        return Err(bad("log.filter", format!("is not a filter: {error}")));
    }
    Ok(())
}

fn check_server(config: &Config) -> Result<(), ConfigError> {
    let server = &config.server;
    within("server.workers", server.workers, 0, 256)?;
    within("live.connections", config.live.connections, 1, 100_000)?;
    within("server.connections_per_worker", server.connections_per_worker, 1, 100_000)?;
    within("server.body_limit_bytes", server.body_limit_bytes, 1 << 10, 1 << 28)?;
    within("server.head_timeout_ms", server.head_timeout_ms, 100, 600_000)?;
    within("server.body_timeout_ms", server.body_timeout_ms, 100, 600_000)?;
    within("server.send_timeout_ms", server.send_timeout_ms, 100, 600_000)?;
    within("server.keep_alive_ms", server.keep_alive_ms, 1_000, 3_600_000)?;
    within("server.shutdown_grace_ms", server.shutdown_grace_ms, 0, 600_000)?;
    for host in &server.hosts {
        let is_name =
            host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_[]:".contains(&byte));
        let is_bare_address = host.parse::<Ipv6Addr>().is_ok();
        let has_port = host.contains(':') && !host.ends_with(']') && !is_bare_address;
        if host != "*" && (host.is_empty() || !is_name || has_port) {
            let reason = format!("{host:?} is not a host: a name or an address, without a port");
            return Err(bad("server.hosts", reason));
        }
    }
    if server.is_encrypted() == server.tls_key_file.as_os_str().is_empty() {
        let reason = "and server.tls_key_file belong together: set both, or none".into();
        return Err(bad("server.tls_cert_file", reason));
    }
    Certificate::read(server)?;
    // The address of a name is checked after the name is resolved.
    server.listen.address().map_or(Ok(()), |address| check_reach(config, address))
}

impl Config {
    /// The address to listen on; a name is resolved.
    ///
    /// # Errors
    /// There is no address, or others can reach it without a token though that is not allowed.
    pub fn listen_address(&self) -> Result<SocketAddr, ConfigError> {
        let found = self.server.listen.look_up();
        let address = found.map_err(|reason| bad("server.listen", reason))?;
        check_reach(self, address)?;
        Ok(address)
    }
}

/// Checks that an address that others can reach is served with a token, or allowed to be open.
fn check_reach(config: &Config, address: SocketAddr) -> Result<(), ConfigError> {
    if !config.auth.token.is_empty() || address.ip().is_loopback() || config.server.allow_open {
        return Ok(());
    }
    let reason = format!(
        "{address} can be reached by others, and no auth.token is set; set one, listen on a \
         loopback address, or say --allow-open (server.allow_open = true)"
    );
    Err(bad("server.listen", reason))
}

fn check_store(config: &Config) -> Result<(), ConfigError> {
    let store = &config.store;
    for (key, bytes) in [
        ("store.block_cache_bytes", store.block_cache_bytes),
        ("store.node_cache_bytes", store.node_cache_bytes),
        ("store.definition_cache_bytes", store.definition_cache_bytes),
    ] {
        within(key, bytes, 1 << 20, 1 << 40)?;
    }
    within("store.write_buffer_bytes", store.write_buffer_bytes, 1 << 20, 1 << 30)?;
    within("store.readers", store.readers, 1, 256)?;
    within("store.read_queue", store.read_queue, 1, 1_000_000)?;
    within("store.workers", store.workers, 1, 64)?;
    within("store.min_free_bytes", store.min_free_bytes, 0, 1 << 40)?;
    if store.data_dir.as_os_str().is_empty() {
        return Err(bad("store.data_dir", "is empty; name a directory".into()));
    }
    store.scylla.check()
}

fn check_token(config: &Config) -> Result<(), ConfigError> {
    let token = config.auth.token.expose();
    if token.is_empty() {
        return Ok(());
    }
    let visible = token.bytes().all(|byte| byte.is_ascii_graphic());
    if !visible || token.len() < TOKEN_MIN || token.len() > TOKEN_MAX {
        let reason = format!("must be {TOKEN_MIN} to {TOKEN_MAX} visible ASCII characters");
        return Err(bad("auth.token", reason));
    }
    Ok(())
}
