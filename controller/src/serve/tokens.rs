//! The service `weir.v1.Tokens`.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tonic::{Request, Response, Status};
use weir_api::token::{Kind, Token};
use weir_api::v1::tokens_server::Tokens;
use weir_api::v1::{
    self, CreateTokenRequest, CreateTokenResponse, ListTokensRequest, ListTokensResponse, RevokeTokenRequest,
    RevokeTokenResponse,
};

use super::page::Page;
use super::{Api, convert, fault, refused};
use crate::intent::State;
use crate::intent::model::{self, Role};
use crate::orchestrate::tokens::{self, TokenSpec};

#[tonic::async_trait]
impl Tokens for Api {
    async fn create_token(
        &self,
        request: Request<CreateTokenRequest>,
    ) -> Result<Response<CreateTokenResponse>, Status> {
        let request = request.into_inner();
        let role = match request.role() {
            v1::token::Role::Join => Role::Join,
            v1::token::Role::Pool => Role::Pool,
            v1::token::Role::Admin => Role::Admin,
            v1::token::Role::Unspecified => {
                return Err(fault::invalid("role", "the token's role must be JOIN, POOL or ADMIN"));
            }
        };
        let kind = if role == Role::Join { Kind::Join } else { Kind::Api };
        let (authority, _) = self.authority()?;
        let secret = Token::generate(kind, authority.fingerprint())
            .map_err(|_| Status::internal("the system has no random numbers"))?;
        let life = Some(request.ttl_s).filter(|seconds| *seconds > 0).map(Duration::from_secs);
        let spec = TokenSpec {
            id: secret.id.clone(),
            hash: secret.hash(),
            role,
            pool: request.pool,
            life,
            uses: Some(request.uses).filter(|uses| *uses > 0),
            description: request.description,
        };
        let token = self.orchestrator.create_token(spec).await.map_err(refused)?;
        let token = self.orchestrator.intent().read(|state| shown(state, &token));
        Ok(Response::new(CreateTokenResponse { token: Some(token), secret: secret.to_string() }))
    }

    async fn list_tokens(
        &self,
        request: Request<ListTokensRequest>,
    ) -> Result<Response<ListTokensResponse>, Status> {
        let ListTokensRequest { pool, page_size, page_token } = request.into_inner();
        let page = Page::of(page_size, &page_token)?;
        let list = |state: &State| {
            let pool = tokens::of_pool(state, &pool)?;
            let wanted = state.tokens().filter(|token| pool.is_none() || token.pool == pool);
            let mut tokens: Vec<v1::Token> = wanted.map(|token| shown(state, token)).collect();
            tokens.sort_by(|a, b| (&a.pool, &a.id).cmp(&(&b.pool, &b.id)));
            Ok::<_, crate::intent::Refusal>(tokens)
        };
        let tokens = self.orchestrator.intent().read(list).map_err(refused)?;
        let (tokens, next_page_token) = page.cut(tokens, |token| (&token.pool, &token.id));
        Ok(Response::new(ListTokensResponse { tokens, next_page_token }))
    }

    async fn revoke_token(
        &self,
        request: Request<RevokeTokenRequest>,
    ) -> Result<Response<RevokeTokenResponse>, Status> {
        let RevokeTokenRequest { pool, id } = request.into_inner();
        self.orchestrator.revoke_token(pool, id).await.map_err(refused)?;
        Ok(Response::new(RevokeTokenResponse {}))
    }
}

/// A token as lists show it.
fn shown(state: &State, token: &model::Token) -> v1::Token {
    let role = match token.role {
        Role::Join => v1::token::Role::Join,
        Role::Pool => v1::token::Role::Pool,
        Role::Admin => v1::token::Role::Admin,
    };
    let time = |ms| {
        let since = Duration::from_millis(ms);
        convert::timestamp(UNIX_EPOCH.checked_add(since).unwrap_or(SystemTime::UNIX_EPOCH))
    };
    v1::Token {
        id: token.id.clone(),
        role: role.into(),
        pool: token.pool.and_then(|pool| state.pool(pool)).map_or_else(String::new, |pool| pool.name.clone()),
        description: token.description.clone(),
        created: Some(time(token.created_ms)),
        expires: token.expires_ms.map(time),
        uses_left: token.uses_left,
    }
}
