//! The service `weir.v1.Enrolment`: how nodes come to their certificates.

use std::sync::Arc;
use std::time::Duration;

use tonic::{Request, Response, Status};
use weir_api::token::{Kind, Token};
use weir_api::v1::enrolment_server::Enrolment;
use weir_api::v1::{Certificate, JoinRequest, LeaveRequest, LeaveResponse, RenewRequest};

use super::{Api, convert, refused};
use crate::access::{Authority, AuthorityError, Caller, NodeName, SigningRequest};
use crate::orchestrate::admissions::Joining;

#[tonic::async_trait]
impl Enrolment for Api {
    async fn join(&self, request: Request<JoinRequest>) -> Result<Response<Certificate>, Status> {
        let JoinRequest { token, node, signing_request } = request.into_inner();
        let unauthenticated = |sentence: &str| Status::unauthenticated(sentence.to_owned());
        let token: Token = token.parse().map_err(|error| Status::unauthenticated(format!("{error}")))?;
        if token.kind != Kind::Join {
            return Err(unauthenticated("the token is none to join with"));
        }
        let (authority, life) = self.authority()?;
        if token.authority != authority.fingerprint() {
            return Err(unauthenticated("the join token is another controller's"));
        }
        // A guess costs a look: neither a signature is checked for it, nor does it wait with those who change something.
        let hash = token.hash();
        self.orchestrator.check_join_token(&token.id, &hash).map_err(refused)?;
        let request = SigningRequest::read(signing_request).map_err(not_signed)?;
        let joining = Joining { token: token.id, hash, node: node.clone(), key: request.key, life };
        let admission = self.orchestrator.join(joining).await.map_err(refused)?;
        let pool = self.orchestrator.intent().read(|state| state.pool(admission.pool).cloned());
        let pool = pool.ok_or_else(|| unauthenticated("the pool of the join token is gone"))?;
        let name = NodeName { pool: pool.name.clone(), node, number: Some(admission.number) };
        tracing::info!(pool = name.pool, node = name.node, number = admission.number, "node joined");
        self.sign(request, name)
    }

    async fn renew(&self, request: Request<RenewRequest>) -> Result<Response<Certificate>, Status> {
        let name = asker(&request)?;
        let (_, life) = self.authority()?;
        let request = SigningRequest::read(request.into_inner().signing_request).map_err(not_signed)?;
        let admitted = (name.pool.clone(), name.node.clone(), name.number.unwrap_or_default());
        self.orchestrator.renew(admitted, life).await.map_err(refused)?;
        tracing::info!(pool = name.pool, node = name.node, "node's certificate renewed");
        self.sign(request, name)
    }

    async fn leave(&self, request: Request<LeaveRequest>) -> Result<Response<LeaveResponse>, Status> {
        let NodeName { pool, node, .. } = asker(&request)?;
        self.orchestrator.leave(pool.clone(), node.clone()).await.map_err(refused)?;
        tracing::info!(pool, node, "node has left");
        Ok(Response::new(LeaveResponse {}))
    }
}

/// The node that asks.
fn asker<T>(request: &Request<T>) -> Result<NodeName, Status> {
    match request.extensions().get() {
        Some(Caller::Node(name)) => Ok(name.clone()),
        _ => Err(Status::unauthenticated("that is for nodes that show their certificates")),
    }
}

impl Api {
    /// Who signs, and for how long.
    ///
    /// # Errors
    /// `FAILED_PRECONDITION`: nobody.
    pub(super) fn authority(&self) -> Result<(&Arc<Authority>, Duration), Status> {
        let authority = self.authority.as_ref().map(|(authority, life)| (authority, *life));
        authority.ok_or_else(|| Status::failed_precondition("this controller has no certificate authority"))
    }

    fn sign(&self, request: SigningRequest, name: NodeName) -> Result<Response<Certificate>, Status> {
        let (authority, life) = self.authority()?;
        let issued = authority.issue_node(request, &name, life).map_err(not_signed)?;
        Ok(Response::new(Certificate {
            pool: name.pool,
            node: name.node,
            certificate: issued.pem,
            authority: authority.pem().to_owned(),
            not_before: Some(convert::timestamp(issued.not_before)),
            not_after: Some(convert::timestamp(issued.not_after)),
        }))
    }
}

fn not_signed(error: AuthorityError) -> Status {
    match error {
        AuthorityError::Request(_) => Status::invalid_argument(error.to_string()),
        _ => Status::internal(error.to_string()),
    }
}
