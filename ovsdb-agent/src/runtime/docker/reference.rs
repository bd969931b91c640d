//! The names of images, as Docker reads them.

use std::str::FromStr;

/// An image's name in its parts.
///
/// Source: github.com/distribution/reference, `ParseNormalizedNamed`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// The registry's host, with its port if the name has one; `docker.io` if the name bears none.
    pub registry: String,
    /// The repository in that registry, for example `library/busybox`.
    repository: String,
    /// Registry and repository as they were written, for example `busybox`.
    name: String,
    version: Version,
}

/// Which image of a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Version {
    Tag(String),
    /// `sha256:` and 64 hexadecimal digits.
    Digest(String),
}

/// The text is no image's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no name of an image that a registry could have")]
pub struct BadReference(String);

impl Reference {
    /// The image in another registry: its name without tag or digest, and its tag or digest.
    pub(super) fn at(&self, registry: &str) -> (String, &str) {
        let (Version::Tag(version) | Version::Digest(version)) = &self.version;
        (format!("{registry}/{}", self.repository), version)
    }

    /// The same as one name.
    pub(super) fn name_at(&self, registry: &str) -> String {
        let (name, version) = self.at(registry);
        let separator = if self.digest().is_some() { '@' } else { ':' };
        format!("{name}{separator}{version}")
    }

    /// The digest, if the name has one.
    pub(super) fn digest(&self) -> Option<&str> {
        match &self.version {
            Version::Digest(digest) => Some(digest),
            Version::Tag(_) => None,
        }
    }

    /// The repository's name as it was written, and the tag under which a node keeps the image. Docker gives an image a
    /// digest's name only when it comes from that very registry, so that one has a tag made of the digest.
    pub(super) fn kept(&self) -> (&str, String) {
        let tag = match &self.version {
            Version::Tag(tag) => tag.clone(),
            Version::Digest(digest) => digest.replace(':', "-"),
        };
        (&self.name, tag)
    }
}

impl FromStr for Reference {
    type Err = BadReference;

    fn from_str(text: &str) -> Result<Self, BadReference> {
        let (named, digest) =
            text.split_once('@').map_or((text, None), |(name, digest)| (name, Some(digest)));
        let (name, tag) = match named.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, tag),
            _ => (named, "latest"),
        };
        let (registry, path) = match name.split_once('/') {
            Some((host, path)) if host.contains(['.', ':']) || host == "localhost" => (host, path),
            _ => (HUB, name),
        };
        let registry = if registry == "index.docker.io" { HUB } else { registry };
        let is_official = registry == HUB && !path.contains('/');
        let repository = if is_official { format!("library/{path}") } else { path.to_owned() };
        let version = match digest {
            Some(digest) => Version::Digest(digest.to_owned()),
            None => Version::Tag(tag.to_owned()),
        };
        let is_good = repository.split('/').all(is_component)
            && is_tag(tag)
            && digest.is_none_or(|digest| digest.strip_prefix("sha256:").is_some_and(is_sha256));
        let reference = Self { registry: registry.to_owned(), repository, name: name.to_owned(), version };
        if is_good { Ok(reference) } else { Err(BadReference(text.to_owned())) }
    }
}

fn is_component(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte);
    !text.is_empty() && text.len() <= 255 && text.bytes().all(is_plain)
}

fn is_tag(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    (1..=128).contains(&text.len()) && text.bytes().all(is_plain)
}

fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

/// The name under which people know an image that is kept under a tag made of its digest; other names stay.
pub(super) fn known_as(kept: String) -> String {
    match kept.rsplit_once(":sha256-") {
        Some((name, digits)) if is_sha256(digits) => format!("{name}@sha256:{digits}"),
        _ => kept,
    }
}

/// The registry of names that bear none.
const HUB: &str = "docker.io";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_names_as_docker_does() {
        let cases = [
            ("busybox", "docker.io", "p/library/busybox:latest"),
            ("busybox:1.36", "docker.io", "p/library/busybox:1.36"),
            ("index.docker.io/me/app", "docker.io", "p/me/app:latest"),
            ("docker.io/busybox", "docker.io", "p/library/busybox:latest"),
            ("me/app:2", "docker.io", "p/me/app:2"),
            ("localhost/app", "localhost", "p/app:latest"),
            ("10.0.0.1:5000/a/b/c:v1", "10.0.0.1:5000", "p/a/b/c:v1"),
            ("quay.io/a/b", "quay.io", "p/a/b:latest"),
        ];
        for (text, registry, there) in cases {
            let reference: Reference = text.parse().unwrap();
            assert_eq!((reference.registry.as_str(), reference.name_at("p").as_str()), (registry, there));
        }
        for text in ["", "/", "a/", "A", "a b", "a:", "quay.io/", "a@sha256:12", "a@md5:12", "a/../b/ä"] {
            assert!(text.parse::<Reference>().is_err(), "{text}");
        }
    }

    #[test]
    fn what_a_digest_names_is_kept_under_a_tag_and_known_by_the_digest() {
        let name = format!("quay.io/a/b@sha256:{}", "0f".repeat(32));
        let reference: Reference = name.replace('@', ":v1@").parse().unwrap();
        assert_eq!(reference.name_at("p"), name.replace("quay.io", "p"));
        let (repository, tag) = reference.kept();
        assert_eq!(known_as(format!("{repository}:{tag}")), name);
        assert_eq!(known_as("busybox:latest".to_owned()), "busybox:latest");
        assert_eq!("busybox".parse::<Reference>().unwrap().kept(), ("busybox", "latest".to_owned()));
    }
}
