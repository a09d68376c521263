//! Opening connections on one shared runtime, for the pool and for those that keep one alone.

use std::pin::Pin;

use deadpool_postgres::Connect;
use deadpool_postgres::tokio_postgres::tls::{MakeTlsConnect, TlsConnect};
use deadpool_postgres::tokio_postgres::{Client, Config, Error, Socket};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio_util::task::AbortOnDropHandle;

use super::Target;
use super::encryption::Encryption;
use crate::telemetry::Chain;

type Opened = Result<(Client, JoinHandle<()>), Error>;

/// Opens on this runtime, so that sockets and their tasks belong to it.
pub(super) struct OnRuntime {
    runtime: Handle,
    encryption: Encryption,
}

impl OnRuntime {
    pub(super) fn new(runtime: Handle, encryption: Encryption) -> Self {
        Self {
            runtime,
            encryption,
        }
    }
}

impl Connect for OnRuntime {
    fn connect(&self, config: &Config) -> Pin<Box<dyn Future<Output = Opened> + Send + '_>> {
        let (runtime, config) = (self.runtime.clone(), config.clone());
        let encryption = self.encryption.clone();
        let opening = self
            .runtime
            .spawn(async move { open(&config, encryption, &runtime).await });
        let opening = AbortOnDropHandle::new(opening);
        Box::pin(async move { opening.await.expect("opening a connection does not panic") })
    }
}

async fn open(config: &Config, encryption: Encryption, runtime: &Handle) -> Opened {
    match encryption {
        Encryption::None(plain) => open_with(config, plain, runtime).await,
        Encryption::Verified(tls) => open_with(config, *tls, runtime).await,
    }
}

async fn open_with<T>(config: &Config, tls: T, runtime: &Handle) -> Opened
where
    T: MakeTlsConnect<Socket, Stream: Send + 'static, TlsConnect: Send> + Send,
    <T::TlsConnect as TlsConnect<Socket>>::Future: Send,
{
    let (client, connection) = config.connect(tls).await?;
    let driver = runtime.spawn(async move {
        if let Err(error) = connection.await {
            tracing::warn!(error = %Chain(&error), "postgres connection ended");
        }
    });
    Ok((client, driver))
}

/// A connection of one's own, for advisory locks and long work. Closed when dropped.
#[derive(Debug)]
pub struct OwnedConnection {
    pub client: Client,
    driver: AbortOnDropHandle<()>,
}

impl OwnedConnection {
    /// True once the server or the network ended it.
    pub fn is_closed(&self) -> bool {
        self.client.is_closed() || self.driver.is_finished()
    }
}

/// Opens a connection outside any pool.
pub async fn connect_alone(target: &Target, runtime: &Handle) -> Result<OwnedConnection, Error> {
    let (client, driver) = open(&target.config, target.encryption.clone(), runtime).await?;
    Ok(OwnedConnection {
        client,
        driver: AbortOnDropHandle::new(driver),
    })
}
