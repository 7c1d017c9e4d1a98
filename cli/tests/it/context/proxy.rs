use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// A proxy between a client and the service that loses replies: on each of the first connections
/// with an upload, the request gets through, and the reply does not.
pub struct Proxy {
    pub url: String,
    pub lost: Arc<AtomicU32>,
    task: JoinHandle<()>,
}

impl Proxy {
    pub async fn start(service: &str, lose: u32) -> Self {
        let service = service.strip_prefix("http://").unwrap().to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let lost = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&lost);
        let task = tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                let server = TcpStream::connect(&service).await.unwrap();
                tokio::spawn(pass(client, server, Arc::clone(&counted), lose));
            }
        });
        Self { url, lost, task }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn pass(client: TcpStream, server: TcpStream, lost: Arc<AtomicU32>, lose: u32) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let (mut request, mut reply) = (vec![0; 65_536], vec![0; 65_536]);
    let mut is_commit = false;
    loop {
        tokio::select! {
            read = from_client.read(&mut request) => match read {
                Ok(count) if count > 0 => {
                    is_commit |= request[..count].starts_with(b"PUT /api/v1/commits/");
                    if to_server.write_all(&request[..count]).await.is_err() {
                        return;
                    }
                }
                _ => return,
            },
            read = from_server.read(&mut reply) => match read {
                Ok(count) if count > 0 => {
                    if is_commit && lost.fetch_add(1, Ordering::SeqCst) < lose {
                        return;
                    }
                    is_commit = false;
                    if to_client.write_all(&reply[..count]).await.is_err() {
                        return;
                    }
                }
                _ => return,
            },
        }
    }
}
