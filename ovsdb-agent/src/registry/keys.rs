//! Who asks the upstream: nobody in particular, or whom a file names.
//!
//! An upstream that wants to know answers 401, and says whether it takes a name and a password or a token, and from whom
//! tokens are: Docker Hub has one for nobody in particular too. The registry is not told of any of it.
//!
//! Source: distribution, "Token Authentication Specification"; RFC 7617; RFC 6750.

use std::{
    collections::HashMap,
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use axum::http::{HeaderMap, header};
use http_auth::{ChallengeRef, parse_challenges};
use reqwest::{RequestBuilder, Url};
use serde::Deserialize;

/// What lets in, of all repositories.
#[derive(Default)]
pub(super) struct Keys {
    credentials: Option<Credentials>,
    /// By repository; the empty one is what is of no repository.
    passes: Mutex<HashMap<String, Pass>>,
}

#[derive(Clone)]
struct Credentials {
    name: String,
    password: String,
}

#[derive(Clone)]
enum Pass {
    Password(Credentials),
    Token { text: String, until: Instant },
}

/// What a token server says.
#[derive(Deserialize)]
struct Issued {
    token: Option<String>,
    access_token: Option<String>,
    expires_in: Option<u64>,
}

impl Keys {
    /// Of whom a file names, as `NAME:PASSWORD`.
    ///
    /// # Errors
    /// It cannot be read, or is no such file.
    pub(super) fn read(file: Option<&Path>) -> anyhow::Result<Self> {
        let Some(file) = file else { return Ok(Self::default()) };
        let text =
            std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        let pair = text.trim_end_matches(['\r', '\n']).split_once(':');
        let (name, password) =
            pair.filter(|(name, password)| !name.is_empty() && !password.contains('\n'))
                .with_context(|| format!("{} is not one line NAME:PASSWORD", file.display()))?;
        let credentials = Credentials { name: name.to_owned(), password: password.to_owned() };
        Ok(Self { credentials: Some(credentials), ..Self::default() })
    }

    /// Shows the upstream what has let in before, if that is still good.
    pub(super) fn show(&self, path: &str, request: RequestBuilder) -> RequestBuilder {
        match self.passes().get(repository(path)) {
            Some(Pass::Password(Credentials { name, password })) => request.basic_auth(name, Some(password)),
            Some(Pass::Token { text, until }) if *until > Instant::now() => request.bearer_auth(text),
            _ => request,
        }
    }

    /// Gets what the upstream wants, as its answer 401 says; false if there is no such thing.
    ///
    /// # Errors
    /// Who should give a token does not.
    pub(super) async fn renew(
        &self,
        client: &reqwest::Client,
        path: &str,
        answer: &HeaderMap,
        is_plain: bool,
    ) -> anyhow::Result<bool> {
        let texts = answer.get_all(header::WWW_AUTHENTICATE).iter().filter_map(|text| text.to_str().ok());
        let challenges: Vec<_> = texts.filter_map(|text| parse_challenges(text).ok()).flatten().collect();
        let challenge = |scheme| challenges.iter().find(|it| it.scheme.eq_ignore_ascii_case(scheme));
        let repository = repository(path);
        let pass = match (challenge("bearer"), challenge("basic"), &self.credentials) {
            (Some(bearer), ..) => self.token(client, repository, bearer, is_plain).await?,
            // The same again would be refused again.
            (_, Some(_), Some(credentials)) if !self.passes().contains_key(repository) => {
                Pass::Password(credentials.clone())
            }
            _ => return Ok(false),
        };
        self.passes().insert(repository.to_owned(), pass);
        Ok(true)
    }

    async fn token(
        &self,
        client: &reqwest::Client,
        repository: &str,
        challenge: &ChallengeRef<'_>,
        is_plain: bool,
    ) -> anyhow::Result<Pass> {
        let said = |name: &str| {
            let found = challenge.params.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
            found.map(|(_, value)| value.to_unescaped())
        };
        let realm = said("realm").context("it does not say who gives tokens")?;
        let mut url = Url::parse(&realm).with_context(|| format!("`{realm}` gives no tokens"))?;
        ensure!(is_plain || url.scheme() == "https", "`{realm}` would be told the password without TLS");
        if let Some(service) = said("service") {
            url.query_pairs_mut().append_pair("service", &service);
        }
        if !repository.is_empty() {
            url.query_pairs_mut().append_pair("scope", &format!("repository:{repository}:pull"));
        }
        let request = match &self.credentials {
            Some(Credentials { name, password }) => client.get(url).basic_auth(name, Some(password)),
            None => client.get(url),
        };
        let asked = Instant::now();
        let answer = request.send().await?;
        ensure!(answer.status().is_success(), "{realm} gives no token: {}", answer.status());
        let Issued { token, access_token, expires_in } = serde_json::from_slice(&answer.bytes().await?)?;
        let text = token.or(access_token).with_context(|| format!("{realm} gives no token"))?;
        let lasts = Duration::from_secs(expires_in.unwrap_or(SHORTEST_S));
        Ok(Pass::Token { text, until: asked.checked_add(lasts).unwrap_or(asked) })
    }

    fn passes(&self) -> MutexGuard<'_, HashMap<String, Pass>> {
        self.passes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The repository that a path is about; empty, if it is about none.
fn repository(path: &str) -> &str {
    let rest = path.strip_prefix("/v2/").unwrap_or_default();
    let ends = ["/manifests/", "/blobs/", "/tags/"].into_iter().filter_map(|word| rest.rfind(word)).max();
    ends.and_then(|end| rest.get(..end)).unwrap_or_default()
}

/// How long a token lasts whose server does not say.
const SHORTEST_S: u64 = 60;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_name_and_a_password_from_a_file() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, "me:pass:word\n").unwrap();
        let credentials = Keys::read(Some(file.path())).unwrap().credentials.unwrap();
        assert_eq!((credentials.name.as_str(), credentials.password.as_str()), ("me", "pass:word"));
        for text in ["", "me", ":x", "me:x\nyou:y"] {
            std::fs::write(&file, text).unwrap();
            let refused = Keys::read(Some(file.path())).err().unwrap().to_string();
            assert!(refused.contains("NAME:PASSWORD"), "{text}");
        }
        assert!(Keys::read(Some(Path::new("/no/such/file"))).is_err());
    }

    #[test]
    fn finds_the_repository_in_a_path() {
        for (path, expected) in [
            ("/v2/", ""),
            ("/v2/library/busybox/manifests/latest", "library/busybox"),
            ("/v2/a/blobs/b/blobs/sha256:00", "a/blobs/b"),
            ("/v2/a/tags/list", "a"),
        ] {
            assert_eq!(repository(path), expected);
        }
    }
}
