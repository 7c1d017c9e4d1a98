//! What the machine gives to any program: a trivial server, a flush of the disk.

use std::{
    fs::OpenOptions,
    io::Write,
    net::SocketAddr,
    path::Path,
    time::{Duration, Instant},
};

use actix_web::{App, HttpServer, web};
use anyhow::Result;
use serde::{Deserialize, Serialize};

/// What the echo server takes and gives: a body like that of a creation.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Echo {
    id: u64,
    parent: Option<u64>,
    name: String,
    created_by: String,
}

/// Serves until it is killed; prints its address first.
pub async fn serve_echo() -> Result<()> {
    let server = HttpServer::new(|| {
        App::new()
            .route("/echo", web::post().to(|body: web::Json<Echo>| async move { body }))
            .route("/ping", web::get().to(|| async { "pong" }))
    })
    .workers(2)
    .bind("127.0.0.1:0")?;
    let addr: SocketAddr = server.addrs()[0];
    println!("listening on http://{addr}");
    Ok(server.run().await?)
}

/// The median of appending 512 bytes and flushing them.
pub fn flush_512(folder: &Path) -> Result<Duration> {
    let mut file = OpenOptions::new().create(true).append(true).open(folder.join("flush"))?;
    let mut times = Vec::new();
    for _ in 0..2_000 {
        let begun = Instant::now();
        file.write_all(&[7; 512])?;
        file.sync_data()?;
        times.push(begun.elapsed());
    }
    times.sort_unstable();
    Ok(times[times.len() / 2])
}
