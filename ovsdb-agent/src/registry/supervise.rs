//! Keeping the registry running: started, asked how it is, started again when it ends or does not answer, and ended.

use std::{
    io::ErrorKind,
    path::Path,
    process::{ExitStatus, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tokio::{
    process::{Child, Command},
    time::{interval, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{check::Checks, journal};

/// Runs the registry until `stop` is cancelled; `client` asks it.
///
/// # Errors
/// There is no such program.
pub(super) async fn run(
    (program, settings): (&Path, &Path),
    client: &reqwest::Client,
    checks: &Checks,
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    let mut backoff = FIRST_BACKOFF;
    loop {
        let began = Instant::now();
        let mut child = start(program, settings, checks)?;
        // All are cancel safe: the child is still there to be waited for.
        tokio::select! {
            status = child.wait() => tracing::warn!(status = said(status), "the registry has ended"),
            () = silent(client) => {
                tracing::warn!("the registry does not answer");
                end(&mut child).await;
            }
            () = stop.cancelled() => {
                end(&mut child).await;
                tracing::info!("ended; what is cached stays");
                return Ok(());
            }
        }
        if began.elapsed() > LASTED {
            backoff = FIRST_BACKOFF;
        }
        tracing::info!(seconds = backoff.as_secs_f32(), "the registry is started again");
        if stop.run_until_cancelled(sleep(backoff)).await.is_none() {
            return Ok(());
        }
        backoff = (backoff * 2).min(LAST_BACKOFF);
    }
}

fn said(status: std::io::Result<ExitStatus>) -> String {
    status.map_or_else(|error| error.to_string(), |status| status.to_string())
}

/// By setpriv(1), so that it ends with this process, whatever ends that: nobody else would ever give its port free.
fn start(program: &Path, settings: &Path, checks: &Checks) -> anyhow::Result<Child> {
    if !is_there(program) {
        let program = program.display();
        bail!("there is no program {program}: `apt install docker-registry`, or name another with --program");
    }
    let started = Command::new("setpriv")
        .args(["--pdeathsig", "TERM", "--"])
        .arg(program)
        .arg("serve")
        .arg(settings)
        .env_clear()
        .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn();
    let mut child = match started {
        Err(error) if error.kind() == ErrorKind::NotFound => bail!("there is no setpriv, of util-linux"),
        started => started.context("cannot start the registry")?,
    };
    if let Some(output) = child.stdout.take() {
        tokio::spawn(journal::follow(output, checks.clone()));
    }
    if let Some(output) = child.stderr.take() {
        tokio::spawn(journal::follow(output, checks.clone()));
    }
    Ok(child)
}

/// Whether there is such a program, by its path or in `PATH`.
fn is_there(program: &Path) -> bool {
    if program.components().count() > 1 {
        return program.is_file();
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

/// Asks it to end, and kills it if it does not.
async fn end(child: &mut Child) {
    let pid = child.id().and_then(|pid| i32::try_from(pid).ok());
    if let Some(pid) = pid
        && let Err(error) = kill(Pid::from_raw(pid), Signal::SIGTERM)
    {
        tracing::debug!(%error, "the registry has ended by itself");
    }
    if timeout(FAREWELL, child.wait()).await.is_err() {
        tracing::warn!("the registry does not end when asked to, and is killed");
        if let Err(error) = child.kill().await {
            tracing::warn!(%error, "the registry cannot be killed");
        }
    }
}

/// Waits until the registry has not answered several times in a row.
async fn silent(client: &reqwest::Client) {
    let (mut n_silent, mut was_well) = (0_u32, false);
    let mut look = interval(LOOK);
    while n_silent < PATIENCE {
        look.tick().await;
        let answered = client.get("http://registry/v2/").timeout(ANSWER).send().await;
        let is_well = answered.as_ref().is_ok_and(|answer| answer.status().is_success());
        if is_well != was_well {
            let status = answered.as_ref().ok().map(|answer| answer.status().as_u16());
            tracing::info!(is_well, status, "the registry's health");
            was_well = is_well;
        }
        // One that says that its disk is full is there, and no better after a new start.
        n_silent = if answered.is_ok() { 0 } else { n_silent.saturating_add(1) };
    }
}

/// How long it is not started again when it has ended, at first and at most.
const FIRST_BACKOFF: Duration = Duration::from_millis(500);
const LAST_BACKOFF: Duration = Duration::from_secs(30);

/// One that ran for so long is started again without much waiting.
const LASTED: Duration = Duration::from_secs(60);

/// How often it is asked, how long it may take, and how often it may be silent.
const LOOK: Duration = Duration::from_secs(2);
const ANSWER: Duration = Duration::from_secs(5);
const PATIENCE: u32 = 5;

const FAREWELL: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[tokio::test]
    async fn what_ends_is_started_again_and_ends_when_asked() {
        let folder = tempfile::tempdir().unwrap();
        let (program, starts) = (folder.path().join("registry"), folder.path().join("starts"));
        // The first one ends at once, the second stays until it is asked to end.
        let script = format!(
            "#!/bin/sh\necho x >>{0}\n[ $(wc -l <{0}) = 1 ] && exit 3\nexec sleep 60\n",
            starts.display()
        );
        std::fs::write(&program, script).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        let (client, stop) = (reqwest::Client::new(), CancellationToken::new());
        let (checks, _delivered) = super::super::check::channel();
        let runs = run((&program, Path::new("settings")), &client, &checks, &stop);
        let ends = async {
            let mut look = interval(Duration::from_millis(10));
            while std::fs::read_to_string(&starts).unwrap_or_default().lines().count() < 2 {
                look.tick().await;
            }
            stop.cancel();
        };
        let both = async { tokio::join!(runs, ends).0 };
        timeout(Duration::from_secs(20), both).await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn that_it_is_not_installed_is_said() {
        let (checks, _delivered) = super::super::check::channel();
        let programs = (Path::new("/no/such/registry"), Path::new("settings"));
        let ended = run(programs, &reqwest::Client::new(), &checks, &CancellationToken::new()).await;
        assert!(ended.unwrap_err().to_string().contains("apt install docker-registry"));
    }
}
