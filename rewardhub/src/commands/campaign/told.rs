//! What a person reads about a campaign: after what he did, of a file, of all of them, and what a
//! revision changes.

use std::collections::BTreeMap;

use ledger_core::campaign::terms::Terms;
use ledger_core::money::Currency;
use ledger_core::person;
use serde_json::Value;

use crate::amount;

/// Of terms: odds, the highest expected cost, the budget.
pub(super) fn of_terms(terms: &Terms) -> Vec<String> {
    let table = &terms.prize_table;
    let (currency, cost) = (table.currency, table.expected_cost_ppb());
    let mut lines = vec![
        format!("odds of any prize: {}", table.odds_text()),
        format!("a draw costs at most {} on average", amount::cost_text(cost, currency)),
    ];
    if let Some(planned) = terms.planned_draws
        && let Some(all) = cost.checked_mul(u128::from(planned))
    {
        let all = amount::cost_text(all, currency);
        lines.push(format!("{planned} planned draws cost at most {all} on average"));
    }
    lines.push(format!("budget: {}", amount::text(terms.budget)));
    lines
}

/// After an action that went well: what it has come to, and what is next.
pub(super) fn after(action: &str, campaign: &Value) -> Vec<String> {
    let id = campaign["campaign_id"].as_str().unwrap_or_default();
    let (version, next) = (&campaign["version"], &campaign["next"]);
    let terms = |of: &Value| serde_json::from_value::<Terms>(of.clone()).map_or(Vec::new(), |t| of_terms(&t));
    let approve = |version: &Value| {
        format!(
            "next: somebody else reads and approves it: campaign approve {id} --version {version} --by NAME"
        )
    };
    match action {
        "create" => {
            let mut lines = vec![format!("version {version} is drafted")];
            lines.extend(terms(&campaign["terms"]));
            lines.push(approve(version));
            lines
        }
        "revise" => {
            let revision = &campaign["revision"];
            // Before the first approval a revision takes the draft's place.
            let (version, of) = match revision {
                Value::Null => (version, &campaign["terms"]),
                revision => (&revision["version"], &revision["terms"]),
            };
            let mut lines = vec![format!("version {version} is drafted")];
            lines.extend(terms(of));
            lines.push(approve(version));
            lines
        }
        "approve" => {
            let mut lines = vec![format!("version {version} is approved")];
            // Days that are committed to keep their prizes.
            if let (Some(from), Some(odds)) = (next["from"].as_str(), next["odds"]["any"].as_str()) {
                lines.push(format!(
                    "its prizes are drawn from {} on; odds of any prize then: {odds}",
                    &from[..10.min(from.len())]
                ));
            }
            if campaign["standing"] == "approved" {
                lines.push(format!("next: campaign start {id}, or campaign schedule {id} TIME"));
            }
            lines
        }
        "start" | "fund" | "approve-funding" => vec![money(campaign)],
        _ => Vec::new(),
    }
}

fn currency(campaign: &Value) -> Option<Currency> {
    Currency::recorded(campaign["terms"]["prize_table"]["currency"].as_str()?)
}

/// The budget as it stands.
fn money(campaign: &Value) -> String {
    let amount = |field: &str| {
        let minor = campaign[field].as_i64().unwrap_or_default();
        currency(campaign).map_or_else(String::new, |currency| amount::text_of(minor, currency))
    };
    format!("funded: {}, spent: {}", amount("funded_minor"), amount("spent_minor"))
}

/// A funding that waits for a second person: what he agrees to.
pub(super) fn proposed(campaign: &Value, reference: &str) -> Option<String> {
    let waiting = campaign["fundings_proposed"].as_array()?;
    let found = waiting.iter().find(|funding| funding["reference"] == reference)?;
    let minor = &found["amount"]["minor"];
    let minor = minor.as_i64().or_else(|| minor.as_str()?.parse().ok())?;
    let sum = amount::text_of(minor, Currency::recorded(found["amount"]["currency"].as_str()?)?);
    let by = person::told(found["proposed_by"].as_str().unwrap_or_default());
    Some(format!("{reference}: {sum}, proposed by {by}"))
}

/// One line of a list.
pub(super) fn line(campaign: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or("open-ended").to_owned();
    let terms = &campaign["terms"];
    format!(
        "{}  {}  version {}  from {} to {}  {}",
        text(&campaign["campaign_id"]),
        text(&campaign["standing"]),
        campaign["version"],
        text(&terms["starts_at"]),
        text(&terms["ends_at"]),
        money(campaign)
    )
}

/// What a revision that waits for approval would change, a line each: `field: now -> then`.
pub(super) fn changes(now: &Value, then: &Value) -> Vec<String> {
    let (mut old, mut new) = (BTreeMap::new(), BTreeMap::new());
    flatten("", now, &mut old);
    flatten("", then, &mut new);
    let fields: std::collections::BTreeSet<_> = old.keys().chain(new.keys()).collect();
    let nothing = "(nothing)".to_owned();
    let of = |values: &BTreeMap<String, String>, field: &str| values.get(field).unwrap_or(&nothing).clone();
    fields
        .into_iter()
        .filter(|field| old.get(*field) != new.get(*field))
        .map(|field| format!("{field}: {} -> {}", of(&old, field), of(&new, field)))
        .collect()
}

fn flatten(at: &str, value: &Value, into: &mut BTreeMap<String, String>) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            let dot = if at.is_empty() { "" } else { "." };
            for (name, value) in fields {
                flatten(&format!("{at}{dot}{name}"), value, into);
            }
        }
        Value::Array(values) if values.iter().any(Value::is_object) => {
            for (index, value) in values.iter().enumerate() {
                flatten(&format!("{at}[{index}]"), value, into);
            }
        }
        value => {
            into.insert(at.to_owned(), value.to_string());
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_change_names_the_field_with_what_is_and_what_will_be() {
        let now =
            json!({ "rules": [{ "code": "a", "wins_per_day": 3 }], "grace_days": 31, "mcc": ["1", "2"] });
        let then = json!({ "rules": [{ "code": "a", "wins_per_day": 5 }], "ends_at": "x", "mcc": ["1"], "grace_days": 31 });
        let expected =
            ["ends_at: (nothing) -> \"x\"", "mcc: [\"1\",\"2\"] -> [\"1\"]", "rules[0].wins_per_day: 3 -> 5"];
        assert_eq!(changes(&now, &then), expected);
        assert_eq!(changes(&now, &now), [""; 0]);
    }
}
