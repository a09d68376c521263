//! Between the service and PostgreSQL: lets COMMIT through and swallows its answer.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use anyhow::{Context, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

const COMMITTED: &[u8] = b"COMMIT\0";

/// Ends with the test's runtime.
#[derive(Debug)]
pub struct Proxy {
    pub port: u16,
    to_swallow: Arc<AtomicUsize>,
    server_side: Arc<Mutex<BTreeSet<u16>>>,
}

impl Proxy {
    pub async fn start(host: String, port: u16) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let proxy = Self {
            port: listener.local_addr()?.port(),
            to_swallow: Arc::default(),
            server_side: Arc::default(),
        };
        let to_swallow = Arc::clone(&proxy.to_swallow);
        let server_side = Arc::clone(&proxy.server_side);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let Ok(server) = TcpStream::connect((host.as_str(), port)).await else {
                    continue;
                };
                if let Ok(address) = server.local_addr() {
                    let mut ports = server_side.lock().expect("nobody panics with it");
                    ports.insert(address.port());
                }
                tokio::spawn(pass(client, server, Arc::clone(&to_swallow)));
            }
        });
        Ok(proxy)
    }

    /// The given number of next commits take effect, and nobody is told.
    pub fn swallow(&self, answers: usize) {
        self.to_swallow.store(answers, Ordering::SeqCst);
    }

    /// Whether the server's client with this port is the proxy.
    pub fn has_connected_from(&self, port: u16) -> bool {
        let ports = self.server_side.lock().expect("nobody panics with it");
        ports.contains(&port)
    }

    pub fn has_swallowed_all(&self) -> bool {
        self.to_swallow.load(Ordering::SeqCst) == 0
    }
}

async fn pass(client: TcpStream, server: TcpStream, to_swallow: Arc<AtomicUsize>) {
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    // Either end closes both.
    tokio::select! {
        _ = ask(from_client, to_server) => {}
        _ = answer(from_server, to_client, &to_swallow) => {}
    }
}

async fn ask(mut client: OwnedReadHalf, mut server: OwnedWriteHalf) -> Result<()> {
    tokio::io::copy(&mut client, &mut server).await?;
    Ok(())
}

/// Message by message: a byte of type, four of length, the rest.
async fn answer(
    mut server: OwnedReadHalf,
    mut client: OwnedWriteHalf,
    to_swallow: &AtomicUsize,
) -> Result<()> {
    loop {
        let mut message = vec![0; 5];
        server.read_exact(&mut message).await?;
        let length = u32::from_be_bytes(message[1..5].try_into()?);
        let rest = usize::try_from(length)?
            .checked_sub(4)
            .context("a length")?;
        message.resize(5 + rest, 0);
        server.read_exact(&mut message[5..]).await?;
        if message[0] == b'C' && &message[5..] == COMMITTED {
            let take = |left: usize| left.checked_sub(1);
            if to_swallow
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, take)
                .is_ok()
            {
                return Ok(());
            }
        }
        client.write_all(&message).await?;
    }
}
