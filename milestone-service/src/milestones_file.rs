//! Milestones as YAML.

use std::path::Path;

use anyhow::Context;
use serde::Deserialize;

use crate::milestone::{Milestone, Milestones, Scope};

/// What the binary takes without `--milestones-file`: 100 messages unlock `video_call`.
///
/// ```
/// let milestones = milestone_service::milestones_file::parse(milestone_service::milestones_file::BUILT_IN).unwrap();
/// let [hundred] = milestones.all() else { panic!("one milestone") };
/// assert_eq!((hundred.id.as_str(), hundred.threshold), ("messages-100", 100));
/// assert_eq!(hundred.unlocks, ["video_call"]);
/// ```
pub const BUILT_IN: &str = include_str!("../milestones.yaml");

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    milestones: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    id: String,
    messages: i64,
    #[serde(default)]
    unlocks: Vec<String>,
    #[serde(default)]
    scope: Scope,
}

/// The milestones of a YAML text. Unknown keys, duplicates and values that make no sense are errors of one line.
pub fn parse(yaml: &str) -> anyhow::Result<Milestones> {
    let file: File = serde_saphyr::from_str(yaml).map_err(|error| anyhow::anyhow!(in_one_line(&error)))?;
    let list = file.milestones.into_iter();
    let list = list.map(|Entry { id, messages, unlocks, scope }| Milestone { id, threshold: messages, unlocks, scope });
    Ok(Milestones::new(list.collect())?)
}

/// The milestones of a file, or the built-in ones.
pub fn load(path: Option<&Path>) -> anyhow::Result<Milestones> {
    let Some(path) = path else {
        return parse(BUILT_IN).context("the built-in milestones");
    };
    let yaml = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    parse(&yaml).with_context(|| format!("{} is not a list of milestones", path.display()))
}

/// The parser's message without the lines that it quotes.
fn in_one_line(error: &serde_saphyr::Error) -> String {
    let text = error.without_snippet().to_string();
    text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(yaml: &str) -> String {
        let text = format!("{:#}", parse(yaml).unwrap_err());
        assert!(!text.contains('\n'), "{text:?}");
        text
    }

    #[test]
    fn several_milestones_are_sorted_by_threshold() {
        let text = "milestones:\n- {id: late, messages: 500}\n- {id: early, messages: 50, unlocks: [photo]}\n";
        let ids: Vec<_> = parse(text).unwrap().all().iter().map(|milestone| milestone.id.clone()).collect();
        assert_eq!(ids, ["early", "late"]);
    }

    #[test]
    fn a_milestone_is_one_of_pairs_unless_it_says_otherwise() {
        let entries =
            ["{id: a, messages: 5}", "{id: b, messages: 5, scope: group}", "{id: c, messages: 7, scope: pair}"];
        let text = format!("milestones:\n- {}\n", entries.join("\n- "));
        let milestones = parse(&text).unwrap();
        let ids = |is_group| milestones.of(is_group).map(|milestone| milestone.id.as_str()).collect::<Vec<_>>();
        assert_eq!((ids(false), ids(true)), (vec!["a", "c"], vec!["b"]));
    }

    #[test]
    fn a_typo_is_named_with_its_line() {
        let text = error("milestones:\n- id: a\n  mesages: 100\n");
        assert!(text.contains("mesages") && text.contains("line 3"), "{text}");
    }

    #[test]
    fn what_is_no_list_of_milestones_is_an_error_of_one_line() {
        for yaml in [
            "",
            "milestones",
            "milestones: 3",
            "milestones: []",
            "milestones:\n- id: a",
            "milestones:\n- {id: a, messages: many}",
            "milestones:\n- {id: a, messages: 1.5}",
            "milestones:\n- {id: a, id: b, messages: 1}",
            "milestones:\n- {id: a, messages: -1}",
            "milestones:\n- {id: a, messages: 1, scope: all}",
            "milestones:\n- {id: a, messages: 1}\nmilestones: []",
            "milestones:\n- {id: a, messages: 1}\nmore: true",
            "milestones:\n- {id: [",
            "\t",
        ] {
            assert!(!error(yaml).is_empty(), "{yaml:?}");
        }
    }
}
