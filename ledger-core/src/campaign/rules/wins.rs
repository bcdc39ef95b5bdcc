//! Rules that look at what a customer has won, apart from those that do not: a back-test asks the
//! others once and these under every seed.

use super::compiled::{Check, CompiledRules};
use super::subject::{Period, Subject};
use super::{RuleCode, expression};

/// Longest period that a rule can look at, less the day itself.
const MONTH_DAYS: i64 = 30;

impl CompiledRules {
    /// How many days before or after a line's own a win can lie and still matter to a rule; `None`
    /// if no rule looks at wins.
    pub fn wins_matter_days(&self) -> Option<i64> {
        self.rules.iter().filter_map(|(_, check)| check.wins_matter_days()).max()
    }

    /// Whether a rule that looks at wins also asks what was spent.
    pub fn wins_and_spending_matter(&self) -> bool {
        let both = |check: &Check| {
            matches!(check, Check::Cel(expression)
                if check.wins_matter_days().is_some()
                    && expression::LOOK_AT_SPENDING.iter().any(|name| expression.mentions(name)))
        };
        self.rules.iter().any(|(_, check)| both(check))
    }

    /// Of the rules that a line failed, those that look at wins and the others.
    pub fn split_by_wins(&self, failed: Vec<RuleCode>) -> (Vec<RuleCode>, Vec<RuleCode>) {
        let (mut about_wins, mut others) = (vec![], vec![]);
        let mut last_about_wins = false;
        for code in failed {
            // A rule that gave no answer is followed by the word for that.
            if code != RuleCode::RuleError {
                let about =
                    |(of, check): &(RuleCode, Check)| *of == code && check.wins_matter_days().is_some();
                last_about_wins = self.rules.iter().any(about);
            }
            (if last_about_wins { &mut about_wins } else { &mut others }).push(code);
        }
        (about_wins, others)
    }

    /// Whether the rules that look at wins admit a line.
    pub fn wins_admit(&self, subject: &Subject<'_>) -> bool {
        let mut failed = vec![];
        self.check_those(subject, &mut failed, |check| check.wins_matter_days().is_some());
        failed.is_empty()
    }
}

impl Check {
    fn wins_matter_days(&self) -> Option<i64> {
        match self {
            Check::WinsMax(period, _) | Check::WonMax(period, _) => Some(match period {
                Period::Day => 0,
                Period::Week => 6,
                Period::Month => MONTH_DAYS,
            }),
            Check::Cel(expression) => {
                expression::LOOK_AT_WINS.iter().any(|name| expression.mentions(name)).then_some(MONTH_DAYS)
            }
            Check::Merchant { .. }
            | Check::Mcc { .. }
            | Check::Country { .. }
            | Check::AmountMin(_)
            | Check::AmountMax(_)
            | Check::FirstPurchase { .. }
            | Check::Weekdays(_)
            | Check::Hours(_)
            | Check::AgeMin(_)
            | Check::TransactionsMax(_)
            | Check::SpentMax(..)
            | Check::Broken => None,
        }
    }
}
