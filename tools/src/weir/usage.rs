//! What containers use, asked twice: what only grows is shown as what came to it in between.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use comfy_table::Cell;
use serde::Serialize;
use tonic::Streaming;
use weir_api::v1::{ContainerStats, StatContainersRequest, Usage};

use super::container::{self, amount};
use super::failure::Failure;
use super::output::{self, View};
use super::session::Session;

/// What all containers asked for have used so far.
pub(super) type Round = Vec<ContainerStats>;

/// Asks once; `names` and `node` choose as the API does.
pub(super) async fn ask(
    session: &Session,
    pool: String,
    names: &[String],
    node: &str,
) -> Result<Round, Failure> {
    let request = StatContainersRequest { pool, names: names.to_vec(), node: node.to_owned() };
    let mut client = container::client(session).await?;
    let asked = client.stat_containers(session.request(request));
    session.in_time(async { sorted(session.patiently("asking", asked).await?).await }).await
}

/// How long to wait between two looks: less would show what nodes remember of the last one.
pub(super) fn interval(text: &str) -> Result<Duration, String> {
    let interval = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    if interval < SHORTEST {
        return Err(format!("at least {} ms", SHORTEST.as_millis()));
    }
    Ok(interval)
}

/// All answers, by pool and name.
pub(super) async fn sorted(mut answers: Streaming<ContainerStats>) -> Result<Round, Failure> {
    let mut round = Round::new();
    while let Some(stats) = answers.message().await? {
        round.push(stats);
    }
    round.sort_by(|a, b| (&a.pool, &a.name).cmp(&(&b.pool, &b.name)));
    Ok(round)
}

/// What a container uses.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(super) struct UsageView {
    pub(super) pool: String,
    pub(super) name: String,
    pub(super) node: String,
    /// Of one processor, since it was asked before; null if that is not known, as all that is null.
    pub(super) cpu_percent: Option<f64>,
    pub(super) memory_bytes: Option<u64>,
    /// 0: none.
    pub(super) memory_limit_bytes: u64,
    pub(super) processes: Option<u64>,
    pub(super) threads: Option<u64>,
    pub(super) oom_kills: Option<u64>,
    pub(super) received_bytes: Option<u64>,
    pub(super) sent_bytes: Option<u64>,
    pub(super) read_bytes: Option<u64>,
    pub(super) written_bytes: Option<u64>,
    /// Why nothing is known.
    pub(super) problem: Option<String>,
    /// Bytes received and sent a second; not in JSON, where the sums are.
    #[serde(skip)]
    pub(super) traffic: Option<[f64; 2]>,
}

impl UsageView {
    fn new(stats: ContainerStats, before: Option<&Usage>, base: Option<&Usage>) -> Self {
        let ContainerStats { pool, name, node, usage, problem } = stats;
        let now = usage.unwrap_or_default();
        Self {
            pool,
            name,
            node,
            cpu_percent: before.and_then(|before| cpu_percent(before, &now)),
            traffic: base.and_then(|base| traffic(base, &now)),
            memory_bytes: now.memory_bytes,
            memory_limit_bytes: now.memory_limit_bytes,
            processes: now.processes,
            threads: now.threads,
            oom_kills: now.oom_kills,
            received_bytes: now.received_bytes,
            sent_bytes: now.sent_bytes,
            read_bytes: now.read_bytes,
            written_bytes: now.written_bytes,
            problem: output::present(problem),
        }
    }

    /// Its columns, in the order of [`HEADERS`].
    pub(super) fn columns(&self) -> [String; 9] {
        let bytes = |n: Option<u64>| n.map_or_else(|| "-".to_owned(), amount::bytes_text);
        let pair = |one, other| format!("{} / {}", bytes(one), bytes(other));
        let limit = (self.memory_limit_bytes > 0).then_some(self.memory_limit_bytes);
        [
            self.pool.clone(),
            self.name.clone(),
            self.node.clone(),
            self.cpu_percent.map_or_else(|| "-".to_owned(), |percent| format!("{percent:.1}")),
            pair(self.memory_bytes, limit),
            pair(self.received_bytes, self.sent_bytes),
            pair(self.read_bytes, self.written_bytes),
            self.threads.or(self.processes).map_or_else(|| "-".to_owned(), |n| n.to_string()),
            self.problem.clone().unwrap_or_default(),
        ]
    }
}

/// What [`UsageView::columns`] are.
pub(super) const HEADERS: [&str; 9] =
    ["POOL", "NAME", "NODE", "CPU %", "MEMORY / LIMIT", "NET IN / OUT", "DISK IN / OUT", "PIDS", "PROBLEM"];

/// The latest round, with what came to it: of the processor since the one before, of traffic since an earlier one, the
/// base.
pub(super) fn compare(base: &Round, before: &Round, now: Round) -> Vec<UsageView> {
    let (base, before) = (by_name(base), by_name(before));
    let view = |stats: ContainerStats| {
        let name = (stats.pool.as_str(), stats.name.as_str());
        let (base, before) = (base.get(&name).copied(), before.get(&name).copied());
        UsageView::new(stats, before, base)
    };
    now.into_iter().map(view).collect()
}

fn by_name(round: &Round) -> HashMap<(&str, &str), &Usage> {
    round
        .iter()
        .filter_map(|stats| Some(((stats.pool.as_str(), stats.name.as_str()), stats.usage.as_ref()?)))
        .collect()
}

/// How much of a processor was used in between; `None` also if the container was started anew.
fn cpu_percent(before: &Usage, now: &Usage) -> Option<f64> {
    Some(a_second([before.cpu_us, now.cpu_us], passed(before, now)?)? / 1e4)
}

/// Bytes received and sent a second; `None` also if the container was plugged anew.
fn traffic(base: &Usage, now: &Usage) -> Option<[f64; 2]> {
    let passed = passed(base, now)?;
    let received = a_second([base.received_bytes, now.received_bytes], passed)?;
    Some([received, a_second([base.sent_bytes, now.sent_bytes], passed)?])
}

fn passed(before: &Usage, now: &Usage) -> Option<Duration> {
    let time = |usage: &Usage| SystemTime::try_from(usage.time?).ok();
    time(now)?.duration_since(time(before)?).ok().filter(|passed| !passed.is_zero())
}

#[expect(clippy::cast_precision_loss, reason = "what is shown has one decimal")]
fn a_second([before, now]: [Option<u64>; 2], passed: Duration) -> Option<f64> {
    Some(now?.checked_sub(before?)? as f64 / passed.as_secs_f64())
}

/// Containers and what they use.
#[derive(Serialize)]
#[serde(transparent)]
pub(super) struct UsageList(pub(super) Vec<UsageView>);

impl View for UsageList {
    fn to_text(&self) -> String {
        let has_problem = self.0.iter().any(|usage| usage.problem.is_some());
        let n = if has_problem { HEADERS.len() } else { HEADERS.len() - 1 };
        let row = |usage: &UsageView| usage.columns().into_iter().take(n).map(Cell::new).collect();
        output::rows(HEADERS.get(..n).unwrap_or(&HEADERS), self.0.iter().map(row))
    }
}

/// The shortest time between two looks.
const SHORTEST: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use super::*;

    fn stats(name: &str, cpu_us: u64, at_s: u64) -> ContainerStats {
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(at_s);
        let usage = Usage {
            time: Some(time.into()),
            cpu_us: Some(cpu_us),
            memory_bytes: Some(3 << 20),
            received_bytes: Some(at_s * 10),
            sent_bytes: Some(2048),
            ..Usage::default()
        };
        ContainerStats {
            pool: "p".into(),
            name: name.into(),
            node: "n1".into(),
            usage: Some(usage),
            ..Default::default()
        }
    }

    #[test]
    fn processor_time_is_shown_as_what_came_to_it() {
        let before = vec![stats("a", 1_000_000, 10), stats("again", 9_000_000, 10)];
        let now = vec![stats("a", 2_000_000, 12), stats("again", 5, 12), stats("new", 5, 12)];
        let shown = compare(&vec![stats("a", 0, 2)], &before, now);
        let percents: Vec<_> = shown.iter().map(|usage| usage.cpu_percent).collect();
        assert_eq!(percents, [Some(50.0), None, None]);
        let traffic: Vec<_> = shown.iter().map(|usage| usage.traffic).collect();
        assert_eq!(traffic, [Some([10.0, 0.0]), None, None], "since an earlier round");
        let text = UsageList(shown).to_text();
        assert!(text.contains("50.0") && text.contains("3 MiB / -") && !text.contains("PROBLEM"), "{text}");
    }

    #[test]
    fn a_container_of_which_nothing_is_known_says_why() {
        let silent =
            ContainerStats { problem: "the agent is gone".into(), name: "a".into(), ..Default::default() };
        let shown = compare(&vec![], &vec![], vec![silent]);
        assert_eq!(shown[0].memory_bytes, None);
        assert!(UsageList(shown).to_text().contains("the agent is gone"));
    }

    #[test]
    fn looks_are_not_without_a_pause() {
        assert_eq!(interval("500ms"), Ok(Duration::from_millis(500)));
        for short in ["0s", "10ms", "499ms"] {
            assert!(interval(short).unwrap_err().contains("at least 500 ms"), "{short}");
        }
        assert!(interval("often").is_err());
    }
}
