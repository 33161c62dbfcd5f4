//! The life of a server: bound, loaded, serving, drained.

use std::{
    io,
    net::{SocketAddr, TcpListener, ToSocketAddrs},
    sync::{Arc, Mutex, atomic::AtomicU64, mpsc},
    time::Duration,
};

use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
    service::TowerToHyperService,
};
use stage_contract::StageError;
use tokio::{
    net::TcpStream,
    runtime::{Builder, Runtime},
    sync::{Semaphore, oneshot},
    time::{sleep, timeout},
};

use crate::{
    gate::Gate, limits::Limits, loader::Loader, metrics::Metrics, model::Model, pool::Pool, queue::Queue,
    routes::routes, service::Service, tagger::Open, worker::Worker,
};

/// Threads for requests: they parse and write, and the model wants the CPUs.
const REQUEST_THREADS: usize = 2;

/// How long answers that are ready may take to be sent after a stop.
const LAST_BYTES: Duration = Duration::from_secs(2);

/// How long nobody is accepted after the system refused, mostly for want of file descriptors.
const REST: Duration = Duration::from_millis(100);

/// A server that is bound, and answers once it runs.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    open: Arc<Open>,
    limits: Limits,
    control: Control,
    reloads: mpsc::Receiver<()>,
}

/// Stops a server, or lets it load its model anew.
#[derive(Clone, Debug)]
pub struct Control {
    gate: Arc<Gate>,
    reload: mpsc::Sender<()>,
}

impl Control {
    /// Takes no more requests, finishes those it took, and ends; asked a second time, it ends at once.
    pub fn stop(&self) {
        self.gate.stop();
    }

    /// Opens the model anew. When that fails, the one before stays, and log and `/health` say so.
    pub fn reload(&self) {
        // The other end is gone when the server is.
        let _ = self.reload.send(());
    }
}

impl Server {
    /// Binds. The model is opened by [`Server::run`].
    ///
    /// # Errors
    /// The limits make no sense, or the address is none, is taken or may not be bound.
    pub fn bind(address: &str, open: Arc<Open>, limits: Limits) -> Result<Self, StageError> {
        limits.check()?;
        let refused = |e: io::Error| {
            let help = match e.kind() {
                io::ErrorKind::AddrInUse => "--address 127.0.0.1:0 takes a free port",
                io::ErrorKind::PermissionDenied => "use a port from 1024 on: --address 127.0.0.1:8080",
                _ => "name an address of this machine and a port: --address 127.0.0.1:8080",
            };
            StageError::because(format!("cannot listen at {address}"), e).help(help)
        };
        let addresses: Vec<_> = address.to_socket_addrs().map_err(refused)?.collect();
        let listener = TcpListener::bind(&*addresses).map_err(refused)?;
        listener.set_nonblocking(true).map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        let (reload, reloads) = mpsc::channel();
        let control = Control { gate: Arc::default(), reload };
        Ok(Self { listener, address, open, limits, control, reloads })
    }

    /// Where it listens, with the port that the system chose for port 0.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What stops and reloads it.
    #[must_use]
    pub fn control(&self) -> Control {
        self.control.clone()
    }

    /// Serves until it is stopped. Before the model is open, `/predict` and `/ready` answer 503.
    ///
    /// # Errors
    /// The model cannot be opened the first time, or the system has no threads.
    pub fn run(self) -> Result<(), StageError> {
        let system = |e| StageError::because("cannot start the server", e);
        let runtime = runtime().map_err(system)?;
        let Self { listener, address, open, limits, control, reloads } = self;
        let (gate, waited) = (control.gate, Arc::new(AtomicU64::new(0)));
        let (queue, arrivals) = Queue::new(limits.queue, waited.clone());
        let (model, metrics) = (Arc::new(Model::new(open)), Arc::new(Metrics::default()));
        let pool =
            Arc::new(Mutex::new(Pool::new(arrivals, limits.batch_tokens, limits.wait, metrics.clone())));
        let worker = Worker { pool, model: model.clone(), metrics: metrics.clone(), waited };
        for number in 0..limits.workers {
            worker.clone().start(number).map_err(system)?;
        }
        tracing::info!("listening on http://{address}");
        if !address.ip().is_loopback() {
            tracing::warn!("there is no authentication: whoever reaches {address} may use the model");
        }
        let loader = Loader { model: model.clone(), metrics: metrics.clone(), gate: gate.clone() };
        let failed = loader.start(reloads).map_err(system)?;
        let service = Arc::new(Service { limits, gate, queue, model, metrics });
        let served = runtime.block_on(serve(listener, service, failed));
        // What hangs (a model, a client) does not keep the process from ending.
        runtime.shutdown_background();
        served
    }
}

fn runtime() -> io::Result<Runtime> {
    Builder::new_multi_thread()
        .worker_threads(REQUEST_THREADS)
        .thread_name("serve-requests")
        .enable_all()
        .build()
}

async fn serve(
    listener: TcpListener,
    service: Arc<Service>,
    failed: oneshot::Receiver<StageError>,
) -> Result<(), StageError> {
    let listener = tokio::net::TcpListener::from_std(listener)
        .map_err(|e| StageError::because("cannot start the server", e))?;
    let connections = Connections::new(&service);
    let open = async {
        loop {
            connections.accept(&listener).await;
        }
    };
    tokio::select! {
        Ok(error) = failed => return Err(error),
        () = service.gate.drained(service.limits.grace) => {}
        () = open => {}
    }
    drop(listener);
    connections.end().await;
    tracing::info!("stopped");
    Ok(())
}

/// Connections that are open.
struct Connections {
    places: Arc<Semaphore>,
    graceful: GracefulShutdown,
    protocol: http1::Builder,
    service: TowerToHyperService<axum::Router>,
    patience: Duration,
}

impl Connections {
    fn new(service: &Arc<Service>) -> Self {
        let patience = service.limits.timeout;
        let mut protocol = http1::Builder::new();
        // Also how long a connection may be idle between two requests.
        protocol.timer(TokioTimer::new()).header_read_timeout(patience);
        Self {
            places: Arc::new(Semaphore::new(service.limits.connections)),
            graceful: GracefulShutdown::new(),
            protocol,
            service: TowerToHyperService::new(routes(service.clone())),
            patience,
        }
    }

    /// Accepts one when there is a place for it, and serves it beside the others.
    async fn accept(&self, listener: &tokio::net::TcpListener) {
        let place = self.places.clone().acquire_owned().await;
        match listener.accept().await {
            Ok((stream, _)) => {
                self.prepare(&stream);
                let connection = self.protocol.serve_connection(TokioIo::new(stream), self.service.clone());
                let connection = self.graceful.watch(connection);
                tokio::spawn(async move {
                    // Clients leave at any time: that is nobody's mistake.
                    let _ = connection.await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!("cannot accept a connection: {error}");
                sleep(REST).await;
            }
        }
    }

    fn prepare(&self, stream: &TcpStream) {
        // Where these are refused the server is slower, or a client that takes no answers stays longer.
        let _ = stream.set_nodelay(true);
        #[cfg(target_os = "linux")]
        let _ = socket2::SockRef::from(stream).set_tcp_user_timeout(Some(self.patience));
    }

    /// Ends those that are idle now, and all others with their answer.
    async fn end(self) {
        if timeout(LAST_BYTES, self.graceful.shutdown()).await.is_err() {
            tracing::warn!("some answers were not taken, and are cut");
        }
    }
}
