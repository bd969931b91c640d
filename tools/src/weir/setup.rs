//! What a user has set up: the file with the controller's address, the pool and the credentials, under what the command
//! line and the environment say.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use tonic::metadata::{Ascii, MetadataValue};
use weir_api::tls::Trust;
use weir_api::token::{Kind, Token};

use super::arguments::Globals;
use super::failure::Failure;
use crate::connect::{DEFAULT_SERVER, Server};

/// The file, in TOML. All keys may be left out.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    /// The controller, as `--server`.
    server: Option<String>,
    /// The pool to work in, as `--pool`.
    pool: Option<String>,
    /// The token itself.
    token: Option<String>,
    /// A file with the token, as `--token-file`; relative to this file.
    token_file: Option<PathBuf>,
    /// The certificate of the controller's authority, as `--ca-cert`; relative to this file.
    ca_cert: Option<PathBuf>,
}

/// Where the controller is, and how to speak to it.
pub(super) struct Setup {
    pub(super) server: Server,
    pub(super) pool: Option<String>,
    /// Whom to trust, with `https://`.
    pub(super) trust: Option<Trust>,
    /// What each request shows.
    pub(super) authorization: Option<MetadataValue<Ascii>>,
}

impl Setup {
    /// From options and environment, and for what they leave open from the file.
    ///
    /// # Errors
    /// `Usage`: what is named is not there, cannot be read, or does not go together.
    pub(super) fn read(globals: &Globals) -> Result<Self, Failure> {
        let (file, folder) = match path(globals) {
            Some(path) => (File::read(&path, globals.config.is_some())?, path.parent().map(Path::to_owned)),
            None => (File::default(), None),
        };
        let folder = folder.unwrap_or_default();
        let server = match (&globals.server, file.server) {
            (Some(server), _) => server.clone(),
            (None, text) => {
                let text = text.as_deref().unwrap_or(DEFAULT_SERVER);
                text.parse().map_err(|error| usage(format!("server: {error}")))?
            }
        };
        let token = match (&globals.token_file, &globals.token, file.token_file, file.token) {
            (Some(path), ..) => Some(text(path)?),
            (_, Some(token), ..) => Some(token.clone()),
            (_, _, Some(path), _) => Some(text(&folder.join(path))?),
            (.., token) => token,
        };
        let token =
            token.map(|text| text.parse::<Token>()).transpose().map_err(|error| usage(error.to_string()))?;
        if token.as_ref().is_some_and(|token| token.kind == Kind::Join) {
            return Err(usage("that token is for nodes: `weir token create` makes one for users".to_owned()));
        }
        let authority = globals.ca_cert.clone().or(file.ca_cert.map(|path| folder.join(path)));
        let trust = match (&authority, &token) {
            (Some(path), _) => {
                let wrong = |error| usage(format!("{}: {error}", path.display()));
                Some(Trust::from_pem(text(path)?.as_bytes()).map_err(wrong)?)
            }
            (None, Some(token)) => Some(Trust::Fingerprint(token.authority)),
            (None, None) => None,
        };
        if matches!(server, Server::Https(_)) && trust.is_none() {
            return Err(usage(format!(
                "whom to trust at {server}? give a token, or the certificate of the controller's authority with --ca-cert \
                 FILE"
            )));
        }
        if token.is_some() && server.is_clear() {
            return Err(usage(format!(
                "a token is not sent to {server} in the clear: use https://HOST:PORT"
            )));
        }
        let bearer = token.map(|token| MetadataValue::try_from(format!("Bearer {token}")));
        let mut authorization = bearer.transpose().map_err(|error| usage(error.to_string()))?;
        if let Some(value) = &mut authorization {
            value.set_sensitive(true);
        }
        Ok(Self { server, pool: globals.pool.clone().or(file.pool), trust, authorization })
    }
}

impl File {
    /// Reads it; one that nobody has asked for may be missing.
    fn read(path: &Path, asked_for: bool) -> Result<Self, Failure> {
        let text = match fs::read_to_string(path) {
            Err(error) if error.kind() == ErrorKind::NotFound && !asked_for => return Ok(Self::default()),
            text => text.map_err(|error| usage(format!("{}: {error}", path.display())))?,
        };
        toml::from_str(&text).map_err(|error| usage(format!("{}: {error}", path.display())))
    }
}

/// Where the file is: as said, or `weir/config.toml` among the user's settings.
fn path(globals: &Globals) -> Option<PathBuf> {
    let of = |variable| std::env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from);
    let settings = || of("XDG_CONFIG_HOME").or_else(|| Some(of("HOME")?.join(".config")));
    globals.config.clone().or_else(|| Some(settings()?.join("weir").join("config.toml")))
}

fn text(path: &Path) -> Result<String, Failure> {
    fs::read_to_string(path).map_err(|error| usage(format!("{}: {error}", path.display())))
}

fn usage(message: String) -> Failure {
    Failure::Usage(message)
}
