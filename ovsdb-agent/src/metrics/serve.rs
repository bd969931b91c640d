//! Where the metrics are served: HTTP, a few connections at a time, one request on each.

use std::{convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};

use axum::{Router, extract::State, http::HeaderMap, response::Response, routing::get};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::timeout,
};

use super::Source;

/// Serves the metrics for ever.
pub async fn serve(address: SocketAddr, source: Source) {
    let routes = routes(source);
    let mut told = false;
    loop {
        // The address may be one that br-phy is yet to be given.
        match TcpListener::bind(address).await {
            Ok(listener) => {
                tracing::info!(%address, "serving metrics");
                match accept(&listener, &routes).await {}
            }
            Err(error) if !told => {
                told = true;
                tracing::warn!(%address, %error, "cannot serve metrics; trying again and again");
            }
            Err(_) => {}
        }
        tokio::time::sleep(RETRY).await;
    }
}

fn routes(source: Source) -> Router {
    Router::new().route("/metrics", get(answer)).with_state(Arc::new(source))
}

async fn answer(State(source): State<Arc<Source>>, headers: HeaderMap) -> Response {
    let families = source.read().await;
    source.metrics.answer(&headers, families)
}

/// Takes connections, of which those beyond a few wait in the kernel's queue.
async fn accept(listener: &TcpListener, routes: &Router) -> Infallible {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let place = places.clone().acquire_owned().await.expect("nobody closes it");
        match listener.accept().await {
            Ok((stream, _)) => {
                let routes = routes.clone();
                tokio::spawn(async move {
                    let ended = timeout(LIFE, connection(stream, routes)).await;
                    tracing::debug!(?ended, "a reader of the metrics is gone");
                    drop(place);
                });
            }
            Err(error) => {
                tracing::debug!(%error, "cannot accept a reader of the metrics");
                tokio::time::sleep(RETRY).await;
            }
        }
    }
}

/// Answers one request.
async fn connection(stream: TcpStream, routes: Router) -> hyper::Result<()> {
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(routes))
        .await
}

/// Connections at the same time.
const CONNECTIONS: usize = 16;

/// How long a request's head may take.
const HEAD: Duration = Duration::from_secs(2);

/// How long a connection may last: Prometheus does not wait longer either, unless it is told to.
const LIFE: Duration = Duration::from_secs(10);

/// Between two attempts to bind the address, or to accept a connection.
const RETRY: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        sync::mpsc,
    };
    use weir_metrics::Metrics;

    use super::{
        super::tests::{sampler, spec},
        *,
    };

    #[tokio::test]
    async fn readers_that_say_nothing_give_way_to_one_that_asks() {
        let (folder, metrics) = (tempfile::tempdir().unwrap(), Arc::new(Metrics::default()));
        let sampler = sampler(folder.path(), &metrics);
        let (inquiries, mut asked) = mpsc::channel::<super::super::Inquiry>(1);
        let flows = folder.path().join("br-int.mgmt");
        let routes = routes(Source::new("n1", metrics, sampler, inquiries, flows));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { accept(&listener, &routes).await });
        tokio::spawn(async move {
            while let Some(inquiry) = asked.recv().await {
                inquiry.send(vec![spec(1, "netns")]).unwrap();
            }
        });
        let mut silent = Vec::new();
        for _ in 0..CONNECTIONS {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(b"GET /metrics HTTP/1.1\r\n").await.unwrap();
            silent.push(stream);
        }
        let ask = async {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: n1\r\n\r\n").await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            answer
        };
        let answer = timeout(LIFE, ask).await.unwrap();
        assert!(
            answer.starts_with("HTTP/1.1 200 OK") && answer.contains("text/plain; version=0.0.4"),
            "{answer}"
        );
        for line in [
            "weir_agent_ports{kind=\"endpoint\",link=\"up\"} 0",
            "weir_agent_read_failures_total{part=\"ovsdb\"}",
            "weir_agent_read_failures_total{part=\"flows\"}",
            "# TYPE container_network_receive_bytes_total counter",
        ] {
            assert!(answer.contains(line), "{line} is not in\n{answer}");
        }
        let mut rest = Vec::new();
        silent[0].read_to_end(&mut rest).await.unwrap();
        assert!(!String::from_utf8_lossy(&rest).contains("200 OK"), "the connection is closed");
    }
}
