//! What a rule looks at besides the transaction. A back-test asks rules about wins under every
//! seed, and all others once. An audit asks whether a campaign has a rule about spending.

use super::compiled::{Check, CompiledRules};
use super::subject::{Period, Subject};
use super::{RuleCode, facts};

/// Longest period that a rule can look at, less the day itself.
const MONTH_DAYS: i64 = 30;

impl CompiledRules {
    /// How many days before or after a line's own a win can lie and still matter to a rule; `None`
    /// if no rule looks at wins.
    pub fn wins_matter_days(&self) -> Option<i64> {
        self.rules.iter().filter_map(|(_, check)| check.looks_at().wins_of_days).max()
    }

    /// Whether a rule that looks at wins also asks what was spent.
    pub fn wins_and_spending_matter(&self) -> bool {
        let both = |looks: LooksAt| looks.wins_of_days.is_some() && looks.spending;
        self.rules.iter().any(|(_, check)| both(check.looks_at()))
    }

    /// Whether a rule asks what was spent.
    pub fn spending_matters(&self) -> bool {
        self.rules.iter().any(|(_, check)| check.looks_at().spending)
    }

    /// Of the rules that a line failed, those that look at wins and the others.
    pub fn split_by_wins(&self, failed: Vec<RuleCode>) -> (Vec<RuleCode>, Vec<RuleCode>) {
        let (mut about_wins, mut others) = (vec![], vec![]);
        let mut last_about_wins = false;
        for code in failed {
            // A rule that gave no answer is followed by the word for that.
            if code != RuleCode::RuleError {
                let about =
                    |(of, check): &(RuleCode, Check)| *of == code && check.looks_at().wins_of_days.is_some();
                last_about_wins = self.rules.iter().any(about);
            }
            (if last_about_wins { &mut about_wins } else { &mut others }).push(code);
        }
        (about_wins, others)
    }

    /// Whether the rules that look at wins admit a line.
    pub fn wins_admit(&self, subject: &Subject<'_>) -> bool {
        let mut failed = vec![];
        self.check_those(subject, &mut failed, |check| check.looks_at().wins_of_days.is_some());
        failed.is_empty()
    }
}

/// What a rule looks at besides the transaction.
struct LooksAt {
    /// Wins of this many days before or after the transaction's own.
    wins_of_days: Option<i64>,
    /// What was spent before.
    spending: bool,
}

impl Check {
    fn looks_at(&self) -> LooksAt {
        let wins = |days| LooksAt { wins_of_days: Some(days), spending: false };
        match self {
            Check::WinsMax(period, _) | Check::WonMax(period, _) => wins(match period {
                Period::Day => 0,
                Period::Week => 6,
                Period::Month => MONTH_DAYS,
            }),
            Check::Cel(expression) => {
                let mentions = |names: &[&str]| names.iter().any(|name| expression.mentions(name));
                LooksAt {
                    wins_of_days: mentions(&facts::ABOUT_WINS).then_some(MONTH_DAYS),
                    spending: mentions(&facts::ABOUT_SPENDING),
                }
            }
            Check::SpentMax(_) => LooksAt { wins_of_days: None, spending: true },
            Check::Merchant { .. }
            | Check::Mcc { .. }
            | Check::Country { .. }
            | Check::AmountMin(_)
            | Check::AmountMax(_)
            | Check::FirstPurchase { .. }
            | Check::Weekdays(_)
            | Check::Hours { .. }
            | Check::AgeMin(_)
            | Check::TransactionsMax(_)
            | Check::Broken => LooksAt { wins_of_days: None, spending: false },
        }
    }
}
