//! Rules that gave no answer. The domain records it as a code in the decision; here it is counted
//! and told, without what the facts were.

use crate::account::event::Considered;
use crate::campaign::terms::RuleCode;
use crate::faults;

#[derive(Debug, thiserror::Error)]
#[error("the purchases on which it gives none are declined")]
struct NoAnswer;

/// Each failure is counted, and one that goes on is told once a minute.
pub(super) fn tell(considered: &[Considered]) {
    for campaign in considered {
        let failed = campaign.failed.windows(2).filter(|codes| codes[1] == RuleCode::RuleError);
        for rule in failed.map(|codes| &codes[0]) {
            metrics::counter!("rewardhub_rule_errors_total", "rule" => rule.as_str().to_owned()).increment(1);
            let whose = format!("{} of campaign {}", rule.as_str(), campaign.campaign_id);
            faults::error("a rule gives no answer", &whose, &NoAnswer);
        }
    }
}
