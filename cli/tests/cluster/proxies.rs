//! Proxies between the servers and the nodes that lose, cut off and delay messages.

use std::{net::SocketAddr, time::Duration};

use scylla_proxy::{
    Condition, Node, Proxy, Reaction, RequestOpcode, RequestReaction, RequestRule, ResponseOpcode,
    ResponseReaction, ResponseRule, RunningProxy, ShardAwareness,
};
use tokio::sync::mpsc;

use crate::cassandra::Nodes;

/// What happens to a commit on its way.
#[derive(Debug, Clone, Copy)]
pub enum Fault {
    /// The commit is applied, and the answer is lost.
    ReplyLost,
    /// The commit never arrives.
    RequestLost,
    /// The connection breaks while the commit is on its way, as when its coordinator dies.
    Cut,
    /// The commit arrives long after its sender has given up.
    Late(Duration),
}

pub struct Proxies {
    running: RunningProxy,
    /// Where servers find the nodes behind them.
    pub addresses: Vec<String>,
}

impl Proxies {
    /// A proxy before each node: at its own address, since nodes name each other by these, and all
    /// at one port, since a driver connects to every node at the port at which it found the first.
    pub async fn before(nodes: &Nodes) -> Self {
        let real: Vec<SocketAddr> =
            nodes.addresses.iter().map(|address| address.parse().unwrap()).collect();
        let free = std::net::TcpListener::bind((real[0].ip(), 0)).unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let before = |real: &SocketAddr| SocketAddr::new(real.ip(), port);
        let proxies = real.iter().map(|real| {
            Node::builder()
                .real_address(*real)
                .proxy_address(before(real))
                .shard_awareness(ShardAwareness::Unaware)
                .build()
        });
        let running = Proxy::new(proxies).run().await.unwrap();
        Self { running, addresses: real.iter().map(|real| before(real).to_string()).collect() }
    }

    /// Applies this fault to a part of the commits, in percent. The channel counts the commits that
    /// were hit.
    pub fn let_happen(&mut self, fault: Fault, of_a_hundred: u32) -> mpsc::UnboundedReceiver<()> {
        let (hit, hits) = mpsc::unbounded_channel();
        let now_and_then = Condition::RandomWithProbability(f64::from(of_a_hundred) / 100.0);
        let (mut requests, mut responses) = (None, None);
        if let Fault::ReplyLost = fault {
            // The answers to conditional writes have a column of this name.
            let applied = Condition::BodyContainsCaseSensitive((*b"[applied]").into());
            let result = Condition::ResponseOpcode(ResponseOpcode::Result);
            let reaction = ResponseReaction::drop_frame().with_feedback_when_performed(count(hit));
            responses = Some(vec![ResponseRule(result.and(applied).and(now_and_then), reaction)]);
        } else {
            let reaction = match fault {
                Fault::Late(time) => RequestReaction::delay(time),
                Fault::Cut => RequestReaction { drop_connection: Some(None), ..Reaction::noop() },
                _ => RequestReaction::drop_frame(),
            };
            let batch = Condition::RequestOpcode(RequestOpcode::Batch);
            let reaction = reaction.with_feedback_when_performed(count(hit));
            requests = Some(vec![RequestRule(batch.and(now_and_then), reaction)]);
        }
        for node in &mut self.running.running_nodes {
            node.change_request_rules(requests.clone());
            node.change_response_rules(responses.clone());
        }
        hits
    }

    /// Lets all messages through.
    pub fn calm_down(&mut self) {
        self.running.turn_off_rules();
    }

    /// Ends the proxies, after the servers have ended.
    pub async fn finish(self) {
        // An error is about the connections that were cut.
        let _ = self.running.finish().await;
    }
}

/// A channel that passes on only the number of its messages.
fn count<T: Send + 'static>(hit: mpsc::UnboundedSender<()>) -> mpsc::UnboundedSender<T> {
    let (sender, mut receiver) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while receiver.recv().await.is_some() {
            // The receiver may be gone.
            let _ = hit.send(());
        }
    });
    sender
}
