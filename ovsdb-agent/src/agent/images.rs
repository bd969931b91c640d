//! Images that are not here yet: one pull at a time for each, however many endpoints wait for it.
//!
//! A job that finds its image missing asks here, is told how things stand, and ends: no job waits for a pull. Whenever that
//! has changed, the endpoints that wait for images are looked at again. Nothing is kept for the next life: what is missing
//! then is asked for again, and Docker has the layers that were complete.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::watch;

use super::endpoints::{Failed, Reason};
use crate::runtime::docker::{Docker, DockerError, Progress, Proxy, Reference};

/// The images that are being pulled, and those that could not be. Copies are handles to the same.
#[derive(Clone, Debug)]
pub(super) struct Images {
    docker: Docker,
    book: Arc<Mutex<Book>>,
    changes: watch::Sender<()>,
}

#[derive(Debug, Default)]
struct Book {
    /// The pool's registry proxies, by the registry that each stands for.
    proxies: BTreeMap<String, String>,
    /// By the images' names as containers have them.
    pulls: BTreeMap<String, Pull>,
}

/// An image that is not here.
#[derive(Debug, Default)]
struct Pull {
    under_way: bool,
    /// How far it is, in steps that are worth telling.
    progress: String,
    /// Why it failed the last time.
    failure: Option<Failed>,
    n_failures: u32,
    not_before: Option<Instant>,
}

impl Pull {
    /// What to say of it.
    fn standing(&self, image: &str) -> Failed {
        match &self.failure {
            // One that failed and has not come further since is no better yet.
            Some(failure) if !self.under_way || self.progress.is_empty() => failure.clone(),
            _ => {
                Failed::new(Reason::Pulling, format!("the image `{image}` is being pulled{}", self.progress))
            }
        }
    }

    fn may_begin(&self, now: Instant) -> bool {
        !self.under_way && self.not_before.is_none_or(|at| at <= now)
    }

    fn fail(&mut self, failure: Failed, now: Instant) {
        let wait = FIRST_RETRY.saturating_mul(1 << self.n_failures.min(16)).min(LAST_RETRY);
        self.n_failures = self.n_failures.saturating_add(1);
        self.not_before = Some(now + wait);
        self.failure = Some(failure);
        self.under_way = false;
        self.progress.clear();
    }
}

impl Images {
    /// Of a node's Docker, with a receiver of changes.
    pub(super) fn new(docker: Docker) -> (Self, watch::Receiver<()>) {
        let (changes, changed) = watch::channel(());
        (Self { docker, book: Arc::default(), changes }, changed)
    }

    /// Takes the pool's registry proxies; what failed is tried at once by them.
    pub(super) fn set_proxies(&self, proxies: BTreeMap<String, String>) {
        let mut book = self.book();
        if book.proxies != proxies {
            book.proxies = proxies;
            book.pulls.retain(|_, pull| pull.under_way);
            self.changes.send_replace(());
        }
    }

    /// How an image stands that is being pulled; `None` if it is not.
    pub(super) fn under_way(&self, image: &str) -> Option<Failed> {
        let book = self.book();
        book.pulls.get(image).filter(|pull| pull.under_way).map(|pull| pull.standing(image))
    }

    /// How an image stands that Docker does not have; begins to pull it if it is time.
    pub(super) fn want(&self, image: &str) -> Failed {
        let now = Instant::now();
        let mut book = self.book();
        book.pulls.retain(|_, pull| pull.under_way || pull.not_before.is_some_and(|at| at + MEMORY > now));
        let (reference, proxy) = match source(&book.proxies, image) {
            Ok(source) => source,
            Err(message) => return missing(image, message),
        };
        let pull = book.pulls.entry(image.to_owned()).or_default();
        if pull.may_begin(now) {
            pull.under_way = true;
            tokio::spawn(self.clone().pull(image.to_owned(), reference, proxy));
        }
        pull.standing(image)
    }

    async fn pull(self, image: String, reference: Reference, proxy: Proxy) {
        tracing::info!(image, %proxy, "pulling");
        let began = Instant::now();
        let (own, pulled) = (self.clone(), image.clone());
        let work = tokio::spawn(async move {
            let progress = |progress| own.note(&pulled, &steps(progress, &proxy));
            let result = own.docker.pull((&pulled, &reference), &proxy, progress).await;
            result.map_err(|error| failed(error, &proxy))
        });
        let result =
            work.await.unwrap_or_else(|_| Err(missing(&image, "the agent failed; its log says more")));
        let mut book = self.book();
        match (result, book.pulls.get_mut(&image)) {
            (Err(failure), Some(pull)) => {
                tracing::warn!(image, message = failure.message, n = pull.n_failures, "not pulled");
                pull.fail(failure, Instant::now());
            }
            _ => {
                tracing::info!(image, seconds = began.elapsed().as_secs_f32(), "pulled");
                book.pulls.remove(&image);
            }
        }
        self.changes.send_replace(());
    }

    fn note(&self, image: &str, progress: &str) {
        let mut book = self.book();
        if let Some(pull) = book.pulls.get_mut(image).filter(|pull| pull.progress != progress) {
            pull.progress = progress.to_owned();
            self.changes.send_replace(());
        }
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What an image is in a registry, and where it comes from.
fn source(proxies: &BTreeMap<String, String>, image: &str) -> Result<(Reference, Proxy), String> {
    let reference = image.parse::<Reference>().map_err(|error| error.to_string())?;
    let Some(proxy) = proxies.get(&reference.registry) else {
        let registry = &reference.registry;
        return Err(format!("the pool has no registry proxy for {registry} to pull it through"));
    };
    let proxy = proxy.parse::<Proxy>().map_err(|error| error.to_string())?;
    Ok((reference, proxy))
}

fn missing(image: &str, message: impl Into<String>) -> Failed {
    let error = DockerError::NoImage { image: image.to_owned(), message: message.into() };
    Failed::new(Reason::Image, error)
}

fn failed(error: DockerError, proxy: &Proxy) -> Failed {
    match error {
        DockerError::NoImage { image, message } => {
            missing(&image, format!("{message} (pulled through {proxy})"))
        }
        error if error.is_absence() => Failed::new(Reason::Runtime, error),
        error => Failed::new(Reason::Image, error),
    }
}

/// How far a pull is, in tenths: each is told the controller.
fn steps(Progress { done, total }: Progress, proxy: &Proxy) -> String {
    let tenths = done.saturating_mul(10).checked_div(total).unwrap_or(0);
    let megabytes = total.div_ceil(1_000_000);
    format!(" through {proxy}: {} % of {megabytes} MB", tenths.min(10) * 10)
}

/// How long a pull that failed is not tried again, at first and at most.
const FIRST_RETRY: Duration = Duration::from_secs(2);
const LAST_RETRY: Duration = Duration::from_secs(60);

/// How long a failure is remembered when nobody asks for the image any more.
const MEMORY: Duration = Duration::from_secs(120);

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn proxies(url: &str) -> BTreeMap<String, String> {
        BTreeMap::from([("docker.io".to_owned(), url.to_owned())])
    }

    #[tokio::test]
    async fn an_image_without_a_proxy_is_missing_and_with_one_is_pulled_once() {
        let (images, mut changed) = Images::new(Docker::new(Path::new("/nowhere/docker.sock")));
        let alone = images.want("busybox");
        assert_eq!(alone.reason, Reason::Image);
        assert!(alone.message.contains("no registry proxy for docker.io"), "{}", alone.message);
        // TLS is Docker's to speak, so that it is asked at once, and is not there.
        images.set_proxies(proxies("https://cache"));
        changed.changed().await.unwrap();
        assert!(images.want("quay.io/a/b").message.contains("quay.io"));
        assert_eq!(images.under_way("busybox"), None);
        assert_eq!(images.want("busybox").reason, Reason::Pulling);
        assert_eq!(images.under_way("busybox").unwrap().reason, Reason::Pulling);
        changed.changed().await.unwrap();
        let refused = images.want("busybox");
        assert_eq!((refused.reason, images.under_way("busybox")), (Reason::Runtime, None), "not at once");
    }

    #[test]
    fn waits_longer_after_each_failure_and_says_why_until_it_comes_further() {
        let now = Instant::now();
        let mut pull = Pull { under_way: true, ..Pull::default() };
        assert_eq!(pull.standing("x").reason, Reason::Pulling);
        pull.fail(missing("x", "no"), now);
        assert!(!pull.may_begin(now) && pull.may_begin(now + FIRST_RETRY));
        pull.fail(missing("x", "no"), now);
        assert!(!pull.may_begin(now + FIRST_RETRY));
        (0..20).for_each(|_| pull.fail(missing("x", "no"), now));
        assert!(pull.may_begin(now + LAST_RETRY));
        pull.under_way = true;
        assert_eq!(pull.standing("x").reason, Reason::Image);
        let proxy = "http://cache:5000".parse().unwrap();
        pull.progress = steps(Progress { done: 14_000_000, total: 40_100_000 }, &proxy);
        let standing = pull.standing("x");
        assert_eq!(standing.reason, Reason::Pulling);
        assert_eq!(
            standing.message,
            "the image `x` is being pulled through http://cache:5000: 30 % of 41 MB"
        );
        assert_eq!(steps(Progress::default(), &proxy), " through http://cache:5000: 0 % of 0 MB");
    }
}
