//! Why no node takes a container, in one sentence, however many nodes there are.

use std::collections::BTreeMap;

use crate::intent::Refusal;

use super::filter::{Filter, NO_AGENT, TurnedAway};
use super::{Place, Verdict};

/// Nodes that are named for one reason.
const MOST_NAMES: usize = 3;
/// Reasons that are told of one filter.
const MOST_REASONS: usize = 3;

/// The refusal of a request for which no node is left.
pub(super) fn refuse(place: &Place<'_>, verdicts: &[Verdict]) -> Refusal {
    let turned_away: Vec<(&str, &TurnedAway)> = verdicts
        .iter()
        .filter_map(|verdict| Some((verdict.node.name.as_str(), verdict.outcome.as_ref().err()?)))
        .collect();
    if turned_away.iter().all(|(_, why)| why.filter == Filter::Connection) {
        return Refusal::Unavailable(nobody_there(place, &turned_away));
    }
    let who = match turned_away.first() {
        Some((name, _)) if place.named.is_some() => format!("the node `{name}`"),
        _ if place.except.is_some() => format!("no other node of the pool `{}`", place.pool.name),
        _ => format!("no node of the pool `{}`", place.pool.name),
    };
    let reasons = reasons(&turned_away, place.named.is_none());
    let sentence = match place.named {
        Some(_) => format!("{who} cannot take the container: {reasons}"),
        None => format!("{who} can take the container: {reasons}"),
    };
    let used_up = |filter| matches!(filter, Filter::Resources | Filter::Address);
    if turned_away.iter().any(|(_, why)| used_up(why.filter)) {
        Refusal::Exhausted(sentence)
    } else {
        Refusal::Precondition(sentence)
    }
}

fn nobody_there(place: &Place<'_>, turned_away: &[(&str, &TurnedAway)]) -> String {
    let pool = &place.pool.name;
    match turned_away {
        [(name, why)] if place.named.is_some() => {
            let what = if why.sentence == NO_AGENT { "agent" } else { "switch" };
            format!("the {what} of the node `{name}` is not connected")
        }
        _ if place.except.is_some() => format!("no other node of the pool `{pool}` is connected"),
        [] => format!("the pool `{pool}` has no nodes"),
        all => format!(
            "none of the {} nodes of the pool `{pool}` has both its agent and its switch connected",
            all.len()
        ),
    }
}

/// What turned nodes away, by filter and sentence, each with the nodes it is true of.
fn reasons(turned_away: &[(&str, &TurnedAway)], with_names: bool) -> String {
    let mut filters: BTreeMap<Filter, BTreeMap<&str, Vec<&str>>> = BTreeMap::new();
    for (name, TurnedAway { filter, sentence }) in turned_away {
        filters.entry(*filter).or_default().entry(sentence).or_default().push(name);
    }
    let mut reasons = Vec::new();
    for (filter, sentences) in filters {
        let word = filter.word();
        let mut sentences: Vec<(&str, Vec<&str>)> = sentences.into_iter().collect();
        sentences.sort_by_key(|(_, names)| std::cmp::Reverse(names.len()));
        let rest = sentences.split_off(sentences.len().min(MOST_REASONS));
        let told = sentences.into_iter().map(|(sentence, names)| match with_names {
            true => format!("{}: {word} ({sentence})", some_of(&names)),
            false => format!("{word} ({sentence})"),
        });
        reasons.extend(told);
        let n_others: usize = rest.iter().map(|(_, names)| names.len()).sum();
        if n_others > 0 {
            reasons.push(format!("{n_others} more: {word}"));
        }
    }
    reasons.join("; ")
}

fn some_of(names: &[&str]) -> String {
    let named = names.iter().take(MOST_NAMES).copied().collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(MOST_NAMES) {
        0 => named,
        n => format!("{named} and {n} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn why(filter: Filter, sentence: &str) -> TurnedAway {
        TurnedAway { filter, sentence: sentence.to_owned() }
    }

    #[test]
    fn nodes_are_grouped_by_filter_and_sentence() {
        let zone = why(Filter::Constraint, "zone==a");
        let memory = why(Filter::Resources, "512 MiB of memory asked, 100 MiB left");
        let turned_away = [("n1", &memory), ("n2", &zone), ("n3", &zone)];
        assert_eq!(
            reasons(&turned_away, true),
            "n2, n3: constraint (zone==a); n1: resources (512 MiB of memory asked, 100 MiB left)"
        );
        assert_eq!(reasons(&[("n2", &zone)], false), "constraint (zone==a)");
    }

    #[test]
    fn a_thousand_nodes_are_a_short_sentence() {
        let names: Vec<String> = (0..1000).map(|n| format!("n{n}")).collect();
        let whys: Vec<TurnedAway> = (0..1000)
            .map(|n| match n {
                0..500 => why(Filter::Connection, NO_AGENT),
                n => why(Filter::Resources, &format!("1 GiB of memory asked, {n} KiB left")),
            })
            .collect();
        let turned_away: Vec<_> = names.iter().map(String::as_str).zip(&whys).collect();
        assert_eq!(
            reasons(&turned_away, true),
            "n0, n1, n2 and 497 more: connection (the agent is not connected); \
             n500: resources (1 GiB of memory asked, 500 KiB left); \
             n501: resources (1 GiB of memory asked, 501 KiB left); \
             n502: resources (1 GiB of memory asked, 502 KiB left); 497 more: resources"
        );
    }
}
