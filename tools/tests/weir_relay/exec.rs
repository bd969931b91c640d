//! Commands as the server runs them.

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};
use weir_api::v1::exec_container_request::Request as Input;
use weir_api::v1::exec_container_response::Response as Out;
use weir_api::v1::{ExecContainerRequest, ExecContainerResponse, TerminalSize};

use super::server::Answers;

/// Where a command's output goes.
#[derive(Clone)]
struct Mouth(mpsc::Sender<Result<ExecContainerResponse, Status>>);

impl Mouth {
    async fn say(&self, response: Out) -> Result<(), Status> {
        let response = ExecContainerResponse { response: Some(response) };
        self.0.send(Ok(response)).await.map_err(|_| Status::cancelled("nobody listens"))
    }
}

/// `copy`: standard input to standard output, then its length as the exit code; `fail CODE`; `vanish`; `screen`.
pub(super) async fn answer(
    mut inputs: Streaming<ExecContainerRequest>,
) -> Result<Answers<ExecContainerResponse>, Status> {
    let Some(Input::Start(start)) = inputs.message().await?.and_then(|first| first.request) else {
        return Err(Status::invalid_argument("the first message must be start"));
    };
    let (outputs, responses) = mpsc::channel(4);
    let mouth = Mouth(outputs);
    match start.command.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["copy"] => drop(tokio::spawn(copy(inputs, mouth))),
        ["screen"] => drop(tokio::spawn(screen(start.terminal, inputs, mouth))),
        ["fail", code] => {
            let code = code.parse().map_err(|_| Status::invalid_argument("no code"))?;
            mouth.say(Out::Stderr(b"it failed\n".to_vec())).await?;
            mouth.say(Out::ExitCode(code)).await?;
        }
        ["vanish"] => mouth.say(Out::Stdout(b"so far".to_vec())).await?,
        _ => return Err(Status::failed_precondition("there is no such program")),
    }
    Ok(Box::pin(ReceiverStream::new(responses)))
}

async fn copy(mut inputs: Streaming<ExecContainerRequest>, mouth: Mouth) -> Result<(), Status> {
    let mut total = 0;
    while let Some(message) = inputs.message().await? {
        match message.request {
            Some(Input::Stdin(bytes)) => {
                total += bytes.len();
                mouth.say(Out::Stdout(bytes)).await?;
            }
            _ => break,
        }
    }
    mouth.say(Out::ExitCode(i32::try_from(total % 256).unwrap_or(255))).await
}

/// Says which size its terminal has, at first and whenever it changes, and which keys come, until a `q` does.
async fn screen(
    size: Option<TerminalSize>,
    mut inputs: Streaming<ExecContainerRequest>,
    mouth: Mouth,
) -> Result<(), Status> {
    let shown = |size: TerminalSize| Out::Stdout(format!("[{}x{}]", size.rows, size.columns).into_bytes());
    mouth.say(size.map_or(Out::Stdout(b"[no terminal]".to_vec()), shown)).await?;
    while let Some(message) = inputs.message().await? {
        match message.request {
            Some(Input::Resize(size)) => mouth.say(shown(size)).await?,
            Some(Input::Stdin(bytes)) if bytes.contains(&b'q') => return mouth.say(Out::ExitCode(7)).await,
            Some(Input::Stdin(bytes)) => mouth.say(Out::Stdout(format!("{bytes:?}").into_bytes())).await?,
            _ => break,
        }
    }
    Ok(())
}
