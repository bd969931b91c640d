//! Pulling an image through a registry proxy.
//!
//! Docker checks every layer, and the manifest of an image that is named by a digest, against its digest, whoever sent it;
//! which image a tag names, the proxy is believed. The image is pulled under the proxy's name and then gets its own.

use std::{collections::HashMap, fmt, pin::pin, str::FromStr, time::Duration};

use bollard::{
    errors::Error,
    models::CreateImageInfo,
    query_parameters::{CreateImageOptionsBuilder, RemoveImageOptionsBuilder, TagImageOptionsBuilder},
};
use futures::StreamExt;

use super::{ANSWER, Docker, DockerError, WORK, loopback::Loopback, reference::Reference};

/// Where images are pulled from: a registry, or one that fetches from another and keeps what it fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxy {
    /// Host and perhaps port.
    authority: String,
    /// It has no TLS.
    is_plain: bool,
}

/// The text is no address of a registry proxy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is neither http://HOST[:PORT] nor https://HOST[:PORT]")]
pub struct BadProxy(String);

impl FromStr for Proxy {
    type Err = BadProxy;

    fn from_str(text: &str) -> Result<Self, BadProxy> {
        let (authority, is_plain) = match (text.strip_prefix("http://"), text.strip_prefix("https://")) {
            (Some(authority), _) => (authority, true),
            (_, Some(authority)) => (authority, false),
            _ => return Err(BadProxy(text.to_owned())),
        };
        if authority.is_empty() || authority.contains(['/', '@', ' ']) {
            return Err(BadProxy(text.to_owned()));
        }
        Ok(Self { authority: authority.to_owned(), is_plain })
    }
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", if self.is_plain { "http" } else { "https" }, self.authority)
    }
}

impl Proxy {
    /// Host and port.
    fn socket(&self) -> String {
        let has_port = self.authority.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        if has_port { self.authority.clone() } else { format!("{}:80", self.authority) }
    }
}

/// How far a pull is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Bytes that are here.
    pub done: u64,
    /// Bytes that there are, as far as is known yet.
    pub total: u64,
}

impl Docker {
    /// Pulls an image through a proxy and gives it its own name. Docker gives up when this is dropped.
    ///
    /// # Errors
    /// `NoImage` with the registry's or Docker's words; Docker's.
    pub async fn pull(
        &self,
        image: (&str, &Reference),
        proxy: &Proxy,
        progress: impl FnMut(Progress),
    ) -> Result<(), DockerError> {
        let missing = |message: String| DockerError::NoImage { image: image.0.to_owned(), message };
        if !proxy.is_plain {
            return self.pull_from(&proxy.authority, image, progress).await;
        }
        let loopback = Loopback::open(proxy.socket())
            .await
            .map_err(|error| missing(format!("the registry proxy {proxy} is not reached: {error}")))?;
        let host = loopback.address().to_string();
        self.pull_from(&host, image, progress).await.map_err(|error| match error {
            // Nobody knows this port.
            DockerError::NoImage { message, .. } => missing(message.replace(&host, &proxy.authority)),
            error => error,
        })
    }

    async fn pull_from(
        &self,
        host: &str,
        (text, image): (&str, &Reference),
        mut progress: impl FnMut(Progress),
    ) -> Result<(), DockerError> {
        let missing = |message: String| DockerError::NoImage { image: text.to_owned(), message };
        let (from, version) = image.at(host);
        let options = CreateImageOptionsBuilder::new().from_image(&from).tag(version).build();
        let client = self.client().await?;
        let mut stream = pin!(client.create_image(Some(options), None, None));
        let mut tally = Tally::default();
        loop {
            match tokio::time::timeout(SILENCE, stream.next()).await {
                Ok(None) => break,
                Ok(Some(Ok(info))) => {
                    if tally.take(&info) {
                        progress(tally.sum());
                    }
                }
                Ok(Some(Err(
                    Error::DockerStreamError { error: message }
                    | Error::DockerResponseServerError { message, .. },
                ))) => return Err(missing(message.trim().to_owned())),
                Ok(Some(Err(error))) => return Err(error.into()),
                Err(_) => {
                    let waited = SILENCE.as_secs();
                    return Err(missing(format!("nothing has come from the registry for {waited} s")));
                }
            }
        }
        self.adopt(image, &image.name_at(host)).await.map_err(|error| match error {
            DockerError::Refused { message, .. } => missing(message),
            error => error,
        })
    }

    /// Gives a pulled image its own name instead of the one it was pulled under.
    async fn adopt(&self, image: &Reference, pulled: &str) -> Result<(), DockerError> {
        let (name, tag) = image.kept();
        let inspected = self
            .ask("looking at an image", ANSWER, |docker| async move { docker.inspect_image(pulled).await })
            .await?;
        if image.digest().is_some()
            && !inspected.repo_digests.iter().flatten().any(|digest| digest.as_str() == pulled)
        {
            let message = "what the registry gave has another digest".to_owned();
            return Err(DockerError::Refused { status: 404, message });
        }
        let options = TagImageOptionsBuilder::new().repo(name).tag(&tag).build();
        self.ask(
            "naming an image",
            WORK,
            |docker| async move { docker.tag_image(pulled, Some(options)).await },
        )
        .await?;
        let options = RemoveImageOptionsBuilder::new().noprune(true).build();
        let removed = self.ask("taking a name from an image", WORK, |docker| async move {
            docker.remove_image(pulled, Some(options), None).await
        });
        if let Err(error) = removed.await {
            // It is a name too many, and no more.
            tracing::warn!(image = pulled, %error, "an image keeps the name it was pulled under");
        }
        Ok(())
    }
}

/// How much of each layer is here.
#[derive(Default)]
struct Tally {
    layers: HashMap<String, Progress>,
}

impl Tally {
    /// Takes a message of Docker's; true if it says how far the pull is.
    fn take(&mut self, info: &CreateImageInfo) -> bool {
        let (Some(layer), Some(status)) = (&info.id, info.status.as_deref()) else { return false };
        let detail = info.progress_detail.as_ref();
        let bytes = |count: Option<i64>| count.and_then(|count| u64::try_from(count).ok());
        match status {
            "Downloading" => {
                let done = bytes(detail.and_then(|detail| detail.current)).unwrap_or(0);
                let total = bytes(detail.and_then(|detail| detail.total)).unwrap_or(0).max(done);
                self.layers.insert(layer.clone(), Progress { done, total });
                true
            }
            "Download complete" | "Pull complete" => {
                self.layers.get_mut(layer).map(|layer| layer.done = layer.total).is_some()
            }
            _ => false,
        }
    }

    fn sum(&self) -> Progress {
        self.layers.values().fold(Progress::default(), |sum, layer| Progress {
            done: sum.done.saturating_add(layer.done),
            total: sum.total.saturating_add(layer.total),
        })
    }
}

/// How long a pull may say nothing. Docker says something at least once a second while anything comes, and while it waits
/// before it tries a layer again.
const SILENCE: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use bollard::models::ProgressDetail;

    use super::*;

    #[test]
    fn reads_addresses_of_proxies() {
        for (text, socket) in [
            ("http://10.0.0.1:5000", "10.0.0.1:5000"),
            ("http://cache", "cache:80"),
            ("http://[::1]:5000", "[::1]:5000"),
        ] {
            let proxy: Proxy = text.parse().unwrap();
            assert_eq!((proxy.socket(), proxy.to_string()), (socket.to_owned(), text.to_owned()));
        }
        assert!(!"https://registry-1.docker.io".parse::<Proxy>().unwrap().is_plain);
        for text in ["", "cache:5000", "ftp://cache", "http://", "http://a/b", "http://me@cache"] {
            assert!(text.parse::<Proxy>().is_err(), "{text}");
        }
    }

    #[test]
    fn adds_up_what_docker_says_of_layers() {
        let info = |layer: &str, status: &str, current, total| CreateImageInfo {
            id: Some(layer.to_owned()),
            status: Some(status.to_owned()),
            progress_detail: Some(ProgressDetail { current, total }),
            ..CreateImageInfo::default()
        };
        let mut tally = Tally::default();
        assert!(!tally.take(&info("a", "Waiting", None, None)));
        assert!(tally.take(&info("a", "Downloading", Some(10), Some(100))));
        assert!(tally.take(&info("b", "Downloading", Some(5), None)));
        assert!(tally.take(&info("b", "Downloading", Some(20), Some(50))));
        assert_eq!(tally.sum(), Progress { done: 30, total: 150 });
        assert!(tally.take(&info("b", "Pull complete", None, None)));
        assert!(!tally.take(&info("c", "Pull complete", None, None)), "it was here before");
        assert_eq!(tally.sum(), Progress { done: 60, total: 150 });
    }
}
