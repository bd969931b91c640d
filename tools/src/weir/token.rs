//! `weir token` and `weir pool token`: what lets users in, and nodes join.

use std::time::Duration;

use clap::{Args, Subcommand};
use comfy_table::Cell;
use serde::Serialize;
use weir_api::v1;
use weir_api::v1::token::Role;

use super::failure::Failure;
use super::output::{self, View, or_dash};
use super::session::Session;

/// `weir token`: users.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Make a token for a user of a pool, or for an administrator; it is shown this once
    Create(Create),
    /// List users' tokens
    #[command(visible_alias = "ls")]
    List,
    /// Have a token be of no use any more
    #[command(visible_alias = "rm")]
    Revoke(Named),
}

/// `weir pool token`: nodes.
#[derive(Debug, Subcommand)]
pub(super) enum JoinCommand {
    /// Make a token with which nodes join a pool; it is shown this once
    Create(CreateJoin),
    /// List the join tokens of a pool, or of all
    #[command(visible_alias = "ls")]
    List {
        /// The pool
        name: Option<String>,
    },
    /// Have a token be of no use any more; nodes that have joined with it stay
    #[command(visible_alias = "rm")]
    Revoke(Named),
}

#[derive(Debug, Args)]
pub(super) struct Create {
    /// It is an administrator's; otherwise it is of --pool
    #[arg(long)]
    admin: bool,
    /// How long it is good for, as in 30d; otherwise for ever
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    ttl: Option<Duration>,
    /// What it is for, in words
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    description: String,
}

#[derive(Debug, Args)]
pub(super) struct CreateJoin {
    /// The pool
    name: String,
    /// How long it is good for
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = humantime::parse_duration)]
    ttl: Duration,
    /// How many nodes may join with it; otherwise any number
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    uses: Option<u32>,
    /// What it is for, in words
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    description: String,
}

#[derive(Debug, Args)]
pub(super) struct Named {
    /// The token's id, as lists show it
    id: String,
}

pub(super) async fn run(session: &Session, command: Command) -> Result<(), Failure> {
    match command {
        Command::Create(Create { admin, ttl, description }) => {
            let (pool, role) =
                if admin { (String::new(), Role::Admin) } else { (session.pool()?, Role::Pool) };
            let ttl_s = ttl.map(seconds).transpose()?.unwrap_or(0);
            create(session, v1::CreateTokenRequest { pool, role: role.into(), ttl_s, uses: 0, description })
                .await
        }
        Command::List => list(session, session.pool_or_all(), |role| role != Role::Join).await,
        Command::Revoke(Named { id }) => revoke(session, id).await,
    }
}

pub(super) async fn run_join(session: &Session, command: JoinCommand) -> Result<(), Failure> {
    match command {
        JoinCommand::Create(CreateJoin { name, ttl, uses, description }) => {
            let (ttl_s, uses) = (seconds(ttl)?, uses.unwrap_or(0));
            let request =
                v1::CreateTokenRequest { pool: name, role: Role::Join.into(), ttl_s, uses, description };
            create(session, request).await
        }
        JoinCommand::List { name } => {
            list(session, name.unwrap_or_else(|| session.pool_or_all()), |role| role == Role::Join).await
        }
        JoinCommand::Revoke(Named { id }) => revoke(session, id).await,
    }
}

/// Whole seconds; the API reads 0 as another thing.
fn seconds(time: Duration) -> Result<u64, Failure> {
    match time.as_secs() {
        0 => Err(Failure::Usage("--ttl must be at least 1s".to_owned())),
        seconds => Ok(seconds),
    }
}

async fn create(session: &Session, request: v1::CreateTokenRequest) -> Result<(), Failure> {
    let mut client = weir_api::client::tokens(session.channel().await?);
    let answer = session.patiently("making a token", client.create_token(session.request(request))).await?;
    output::show(
        session.format(),
        &Made { secret: answer.secret, token: answer.token.unwrap_or_default().into() },
    )
}

async fn list(session: &Session, pool: String, wanted: impl Fn(Role) -> bool) -> Result<(), Failure> {
    let mut client = weir_api::client::tokens(session.channel().await?);
    let request = session.request(v1::ListTokensRequest { pool, ..Default::default() });
    let answer = session.patiently("listing", client.list_tokens(request)).await?;
    let tokens = answer.tokens.into_iter().filter(|token| wanted(token.role()));
    output::show(session.format(), &TokenList(tokens.map(Into::into).collect()))
}

async fn revoke(session: &Session, id: String) -> Result<(), Failure> {
    let mut client = weir_api::client::tokens(session.channel().await?);
    let request = session.request(v1::RevokeTokenRequest { pool: String::new(), id: id.clone() });
    session.patiently("revoking", client.revoke_token(request)).await?;
    output::show(session.format(), &output::Deleted { kind: "token", pool: None, name: id })
}

#[derive(Serialize)]
struct TokenView {
    id: String,
    role: &'static str,
    pool: Option<String>,
    description: String,
    created: Option<String>,
    expires: Option<String>,
    uses_left: Option<u32>,
}

/// A token that was just made.
#[derive(Serialize)]
struct Made {
    secret: String,
    #[serde(flatten)]
    token: TokenView,
}

#[derive(Serialize)]
#[serde(transparent)]
struct TokenList(Vec<TokenView>);

impl From<v1::Token> for TokenView {
    fn from(token: v1::Token) -> TokenView {
        let role = match token.role() {
            Role::Join => "join",
            Role::Pool => "pool",
            Role::Admin => "admin",
            Role::Unspecified => "",
        };
        TokenView {
            role,
            created: output::rfc3339(token.created.as_ref()),
            expires: output::rfc3339(token.expires.as_ref()),
            pool: output::present(token.pool),
            id: token.id,
            description: token.description,
            uses_left: token.uses_left,
        }
    }
}

impl View for Made {
    /// The token alone, for a file or a variable.
    fn to_text(&self) -> String {
        format!("{}\n", self.secret)
    }
}

impl View for TokenList {
    fn to_text(&self) -> String {
        output::rows(
            &["ID", "ROLE", "POOL", "EXPIRES", "USES LEFT", "DESCRIPTION"],
            self.0.iter().map(|token| {
                vec![
                    Cell::new(&token.id),
                    Cell::new(token.role),
                    Cell::new(or_dash(token.pool.clone().unwrap_or_default())),
                    Cell::new(token.expires.clone().unwrap_or_else(|| "never".to_owned())),
                    Cell::new(token.uses_left.map_or_else(|| "-".to_owned(), |left| left.to_string())),
                    Cell::new(or_dash(token.description.as_str())),
                ]
            }),
        )
    }
}
