//! A gatekeeper in front of one node. It encrypts and asks for a login as a node does that is set
//! up for it; the node of these tests is not.
//!
//! Like a proxy it has the address of its node and a port of its own.

use std::{net::SocketAddr, sync::Arc};

use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt, split},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{TlsAcceptor, rustls::ServerConfig};

use crate::frames::Frame;

/// The conditions for a client to get through.
pub struct Gatekeeper {
    pub node: SocketAddr,
    /// `None`: nothing is encrypted.
    pub tls: Option<ServerConfig>,
    /// `None`: no login is needed.
    pub login: Option<(&'static str, &'static str)>,
}

impl Gatekeeper {
    /// Begins its work; answers its address.
    pub async fn open(self) -> String {
        let listener = TcpListener::bind((self.node.ip(), 0)).await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let login = self.login.map(|(user, password)| format!("\0{user}\0{password}").into_bytes());
        let tls = self.tls.map(|tls| TlsAcceptor::from(Arc::new(tls)));
        tokio::spawn(async move {
            while let Ok((driver, _)) = listener.accept().await {
                let (node, tls, login) = (self.node, tls.clone(), login.clone());
                tokio::spawn(async move {
                    match tls {
                        Some(tls) => pass(tls.accept(driver).await.ok()?, node, login).await,
                        None => pass(driver, node, login).await,
                    }
                });
            }
        });
        address
    }
}

/// Passes the frames of one connection to and fro; `None` when it has ended.
async fn pass(
    driver: impl AsyncRead + AsyncWrite,
    node: SocketAddr,
    login: Option<Vec<u8>>,
) -> Option<()> {
    let (mut from_driver, mut to_driver) = split(driver);
    let (mut from_node, mut to_node) = TcpStream::connect(node).await.ok()?.into_split();
    if let Some(login) = login {
        // Until the node is ready, the driver waits for each reply.
        let ready = loop {
            send(&mut to_node, &Frame::read(&mut from_driver).await?).await?;
            let reply = Frame::read(&mut from_node).await?.unsharded();
            if reply.is_ready() {
                break reply;
            }
            send(&mut to_driver, &reply).await?;
        };
        send(&mut to_driver, &ready.authenticate()).await?;
        let answer = Frame::read(&mut from_driver).await?;
        if answer.login() != Some(login) {
            return send(&mut to_driver, &answer.bad_credentials()).await;
        }
        send(&mut to_driver, &answer.welcome()).await?;
    }
    let ask = async {
        while let Some(frame) = Frame::read(&mut from_driver).await {
            send(&mut to_node, &frame).await?;
        }
        None
    };
    let answer = async {
        while let Some(frame) = Frame::read(&mut from_node).await {
            send(&mut to_driver, &frame.unsharded()).await?;
        }
        None
    };
    tokio::select! { end = ask => end, end = answer => end }
}

async fn send(to: &mut (impl AsyncWrite + Unpin), frame: &Frame) -> Option<()> {
    to.write_all(&frame.bytes).await.ok()?;
    to.flush().await.ok()
}
