//! An HTTP client with one connection a request, and a TCP listener for it beside the world's own socket.

use std::net::SocketAddr;

use axum::body::Bytes;
use axum::http::{HeaderMap, Request, Response};
use controller::serve::Api;
use controller::serve::listen::{Address, Listener};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use super::{PATIENCE, World};

pub struct Http {
    pub address: SocketAddr,
}

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    async fn whole(response: Response<Incoming>) -> Self {
        let (head, body) = response.into_parts();
        let body = tokio::time::timeout(PATIENCE, body.collect()).await.expect("an end of the body");
        Self { status: head.status.as_u16(), headers: head.headers, body: body.unwrap().to_bytes() }
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    #[track_caller]
    pub fn ok(&self) -> Value {
        assert_eq!(self.status, 200, "{}", String::from_utf8_lossy(&self.body));
        self.json()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The fields that a problem document blames.
    pub fn blamed(&self) -> Vec<String> {
        let errors = self.json()["errors"].as_array().cloned().unwrap_or_default();
        errors.iter().map(|error| error["field"].as_str().unwrap().to_owned()).collect()
    }
}

impl Http {
    /// Serves a world's API on a port of its own.
    pub async fn of(world: &World) -> Self {
        Self::serve(&world.api, world.stop.clone()).await
    }

    pub async fn serve(api: &Api, stop: CancellationToken) -> Self {
        let any = Address::Tcp("127.0.0.1:0".parse().unwrap());
        let listener = Listener::bind(&any, None).await.unwrap();
        let Listener::Tcp(socket) = &listener else { panic!("{listener:?}") };
        let address = socket.local_addr().unwrap();
        tokio::spawn(listener.serve(api.routes(), stop));
        Self { address }
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &[], "").await
    }

    /// With a body that says that it is JSON.
    pub async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let json = [("content-type", "application/json")];
        self.ask(method, path, &[&json, headers].concat(), body).await
    }

    pub async fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        Answer::whole(self.open(method, path, headers, body).await).await
    }

    /// The same on a connection that is there already.
    pub async fn ask_on(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Answer {
        Answer::whole(send_on(stream, self.request(method, path, headers, "")).await).await
    }

    /// The head of the answer, and a body that is still to be read.
    pub async fn open(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Response<Incoming> {
        let stream = TcpStream::connect(self.address).await.unwrap();
        send_on(stream, self.request(method, path, headers, body)).await
    }

    /// The same by HTTP/2.
    pub async fn open_http2(&self, method: &str, path: &str) -> Response<Incoming> {
        let stream = TokioIo::new(TcpStream::connect(self.address).await.unwrap());
        let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), stream).await;
        let (mut client, connection) = handshake.unwrap();
        tokio::spawn(connection);
        let request = self.request(method, &format!("http://{}{path}", self.address), &[], "");
        client.send_request(request).await.unwrap()
    }

    fn request(&self, method: &str, uri: &str, headers: &[(&str, &str)], body: &str) -> Request<Full<Bytes>> {
        let mut request = Request::builder().method(method).uri(uri).header("host", "weir.example");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(Full::new(Bytes::copy_from_slice(body.as_bytes()))).unwrap()
    }
}

async fn send_on(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: Request<Full<Bytes>>,
) -> Response<Incoming> {
    let (mut client, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    tokio::time::timeout(PATIENCE, client.send_request(request)).await.expect("a head in time").unwrap()
}
