//! Tests of what every endpoint should be and is.

use super::*;

fn endpoint(id: EndpointId) -> DesiredEndpoint {
    DesiredEndpoint {
        endpoint_id: id,
        address: format!("10.1.0.{id}/24"),
        mac: format!("02:42:0a:01:00:{id:02x}"),
        ofport: 1024 + id,
        runtime: "netns".into(),
        ..Default::default()
    }
}

fn desired(complete: bool, ids: &[EndpointId], removed: &[EndpointId]) -> Desired {
    Desired {
        revision: 9,
        complete,
        endpoints: ids.iter().map(|id| endpoint(*id)).collect(),
        removed: removed
            .iter()
            .map(|id| RemovedEndpoint { endpoint_id: *id, runtime: "netns".into() })
            .collect(),
    }
}

/// Runs everything that is due, each job ending as `ends` says.
fn run(endpoints: &mut Endpoints, now: Instant, ends: impl Fn(&Job) -> Outcome) -> usize {
    let mut n_jobs = 0;
    loop {
        let jobs = endpoints.poll_jobs(now);
        if jobs.is_empty() {
            return n_jobs;
        }
        n_jobs += jobs.len();
        for job in jobs {
            let outcome = ends(&job);
            endpoints.handle_done(&job, outcome, now);
        }
    }
}

fn well(job: &Job) -> Outcome {
    match job.goal {
        Goal::Present(_) => Outcome::Up(None),
        Goal::Absent(_) => Outcome::Removed,
    }
}

fn states(reports: Vec<Message>) -> Vec<(EndpointId, State)> {
    let mut states = Vec::new();
    for report in reports {
        match report {
            Message::Endpoint(report) => states.push((report.endpoint_id, report.state())),
            Message::Inventory(inventory) => {
                assert_eq!(inventory.revision, 9);
                states.push((0, State::Unspecified));
                states.extend(inventory.endpoints.iter().map(|one| (one.endpoint_id, one.state())));
            }
            other => panic!("{other:?}"),
        }
    }
    states
}

#[test]
fn answers_a_complete_desired_after_leftovers_are_gone() {
    let (mut endpoints, now) = (Endpoints::default(), Instant::now());
    endpoints.handle_survey([(7, Remains::Sandbox)]);
    assert!(endpoints.poll_jobs(now).is_empty(), "nobody has said that 7 should not be there");
    endpoints.handle_desired(desired(true, &[1, 2], &[]));
    assert!(endpoints.needs_survey());
    assert_eq!(run(&mut endpoints, now, well), 2);
    assert_eq!(states(endpoints.poll_reports()), [(1, State::Up), (2, State::Up)]);
    endpoints.handle_survey([1, 2, 7].map(|id| (id, Remains::Sandbox)));
    assert_eq!(states(endpoints.poll_reports()), []);
    assert_eq!(run(&mut endpoints, now, well), 1);
    let inventory = [(7, State::Removed), (0, State::Unspecified), (1, State::Up), (2, State::Up)];
    assert_eq!(states(endpoints.poll_reports()), inventory);
    assert_eq!(run(&mut endpoints, now, well), 0, "nothing is done twice");
}

#[test]
fn answers_for_what_is_there_and_what_never_was() {
    let (mut endpoints, now) = (Endpoints::default(), Instant::now());
    endpoints.handle_desired(desired(false, &[1], &[]));
    run(&mut endpoints, now, well);
    endpoints.handle_desired(desired(false, &[1], &[5]));
    run(&mut endpoints, now, well);
    let all = [(1, State::Up), (1, State::Up), (5, State::Removed)];
    assert_eq!(states(endpoints.poll_reports()), all);
}

#[test]
fn a_failure_is_reported_once_and_tried_again_with_patience() {
    let (mut endpoints, mut now) = (Endpoints::default(), Instant::now());
    endpoints.handle_desired(desired(false, &[1], &[]));
    let start = now;
    for _ in 0..10 {
        assert_eq!(run(&mut endpoints, now, |_| Outcome::Failed(Failed::new(Reason::Port, "no"))), 1);
        now = endpoints.poll_timeout().unwrap();
    }
    assert!(now - start > Duration::from_secs(30));
    assert_eq!(states(endpoints.poll_reports()), [(1, State::Failed)]);
    run(&mut endpoints, now, well);
    assert_eq!(states(endpoints.poll_reports()), [(1, State::Up)]);
    assert_eq!(endpoints.poll_timeout(), None);
}

#[test]
fn a_taken_port_number_waits_for_another() {
    let (mut endpoints, now) = (Endpoints::default(), Instant::now());
    endpoints.handle_desired(desired(false, &[1], &[]));
    run(&mut endpoints, now, |_| Outcome::OfportTaken("5 instead".into()));
    assert_eq!(states(endpoints.poll_reports()), [(1, State::OfportTaken)]);
    endpoints.recheck_all();
    assert_eq!(run(&mut endpoints, now, well), 0);
    let mut other = desired(false, &[1], &[]);
    other.endpoints[0].ofport = 2000;
    endpoints.handle_desired(other);
    assert_eq!(run(&mut endpoints, now, well), 1);
    assert_eq!(states(endpoints.poll_reports()), [(1, State::Up)]);
}

#[test]
fn a_goal_that_changes_under_way_runs_again_and_the_old_end_is_not_told() {
    let (mut endpoints, now) = (Endpoints::default(), Instant::now());
    endpoints.handle_desired(desired(false, &[1], &[]));
    let jobs = endpoints.poll_jobs(now);
    endpoints.handle_desired(desired(false, &[], &[1]));
    assert!(endpoints.poll_jobs(now).is_empty(), "one job at a time");
    endpoints.handle_done(&jobs[0], Outcome::Up(None), now);
    assert_eq!(run(&mut endpoints, now, well), 1);
    assert_eq!(states(endpoints.poll_reports()), [(1, State::Removed)]);
}

fn container(id: EndpointId) -> DesiredEndpoint {
    DesiredEndpoint { runtime: DOCKER.into(), image: "x".into(), flows_revision: 5, ..endpoint(id) }
}

#[test]
fn what_has_to_go_leaves_the_network_although_docker_hangs() {
    let (mut endpoints, now) = (Endpoints::default(), Instant::now());
    let all = (1..=20).map(container).collect();
    endpoints.handle_desired(Desired { revision: 9, complete: true, endpoints: all, removed: Vec::new() });
    let starting = endpoints.poll_jobs(now);
    assert_eq!(starting.len(), MAX_RUNNING, "Docker does not answer any of them");
    endpoints.handle_desired(Desired { revision: 9, complete: true, ..Desired::default() });
    let leaving = endpoints.poll_jobs(now);
    assert_eq!(leaving.len(), MAX_RUNNING);
    assert!(leaving.iter().all(|job| job.goal == Goal::Absent(Remains::Container)));
    for job in &leaving {
        endpoints.handle_done(job, Outcome::Detached, now);
    }
    let next = endpoints.poll_jobs(now);
    assert!(next.iter().all(|job| job.goal == Goal::Absent(Remains::Container)), "the rest leaves: {next:?}");
    assert_eq!(states(endpoints.poll_reports()), [], "a container may be left of each");
}

#[test]
fn who_has_waited_longest_goes_first() {
    let (mut endpoints, now) = (Endpoints::default(), Instant::now());
    endpoints.handle_desired(desired(false, &(1..=8).collect::<Vec<_>>(), &[]));
    let first = endpoints.poll_jobs(now);
    endpoints.handle_desired(desired(false, &[9], &[]));
    for job in &first {
        endpoints.recheck(job.id);
        endpoints.handle_done(job, Outcome::Up(None), now);
    }
    assert_eq!(endpoints.poll_jobs(now)[0].id, 9);
}

#[test]
fn flows_that_are_confirmed_while_a_job_gives_up_are_not_missed() {
    let (mut endpoints, now) = (Endpoints::default(), Instant::now());
    endpoints.handle_desired(Desired { revision: 9, endpoints: vec![container(1)], ..Desired::default() });
    let jobs = endpoints.poll_jobs(now);
    endpoints.handle_flows_confirmed(5);
    endpoints.handle_done(&jobs[0], Outcome::Failed(Failed::new(Reason::FlowsPending, "no")), now);
    assert_eq!(endpoints.poll_jobs(now).len(), 1);
}

#[test]
fn an_image_that_has_come_is_not_waited_for() {
    let (mut endpoints, now) = (Endpoints::default(), Instant::now());
    let all = vec![container(1), container(2)];
    endpoints.handle_desired(Desired { revision: 9, endpoints: all, ..Desired::default() });
    for job in endpoints.poll_jobs(now) {
        let reason = if job.id == 1 { Reason::Pulling } else { Reason::Start };
        endpoints.handle_done(&job, Outcome::Failed(Failed::new(reason, "no")), now);
    }
    endpoints.handle_images();
    let due: Vec<_> = endpoints.poll_jobs(now).iter().map(|job| job.id).collect();
    assert_eq!(due, [1]);
}

#[test]
fn what_is_refused_is_not_waited_for() {
    let (mut endpoints, now) = (Endpoints::default(), Instant::now());
    endpoints.handle_desired(desired(true, &[1], &[]));
    endpoints.handle_survey([]);
    run(&mut endpoints, now, |_| Outcome::Failed(Failed::new(Reason::Port, "no")));
    let mut bad = desired(false, &[1], &[]);
    bad.endpoints[0].mac = "garbage".into();
    endpoints.handle_desired(bad);
    assert_eq!(endpoints.poll_timeout(), None);
}

#[test]
fn runs_eight_at_a_time() {
    let (mut endpoints, now) = (Endpoints::default(), Instant::now());
    endpoints.handle_desired(desired(false, &(1..=20).collect::<Vec<_>>(), &[]));
    let jobs = endpoints.poll_jobs(now);
    assert_eq!(jobs.len(), MAX_RUNNING);
    endpoints.handle_done(&jobs[0], Outcome::Up(None), now);
    assert_eq!(endpoints.poll_jobs(now).len(), 1);
}

#[test]
fn what_is_no_endpoint_is_refused_and_harms_nothing() {
    let (mut endpoints, now) = (Endpoints::default(), Instant::now());
    let mut bad = desired(true, &[1, 2], &[]);
    bad.endpoints[0].mac = "garbage".into();
    endpoints.handle_desired(bad);
    assert_eq!(run(&mut endpoints, now, well), 1);
    endpoints.handle_survey([]);
    let expected =
        [(1, State::Failed), (2, State::Up), (0, State::Unspecified), (1, State::Failed), (2, State::Up)];
    assert_eq!(states(endpoints.poll_reports()), expected);
    endpoints.handle_desired(desired(false, &[1], &[]));
    assert_eq!(run(&mut endpoints, now, well), 1);
}
