//! The lines that are taken in: purchases of a sandbox bank's customers, under names of our own so
//! that several kinds of customers share one ledger.

use adapters::sandbox::bank::{Customer, Mix};
use adapters::sandbox::{Generator, GeneratorConfig};
use anyhow::Context as _;
use ledger_core::ids::AccountId;
use ledger_core::time::Timestamp;

/// What the sandbox calls its customers.
const GENERATED: &str = "cus_";
const FIELD: &str = r#""account_id":""#;

/// Customers of one kind.
pub(crate) struct Bank {
    generator: Generator,
    /// In place of `cus`.
    kind: &'static str,
}

impl Bank {
    pub(crate) fn open(kind: &'static str, customers: u32) -> anyhow::Result<Bank> {
        let generator = Generator::new(GeneratorConfig {
            seed: 1,
            customers,
            source: "bench_bank".into(),
            run: kind.into(),
            mix: Mix::plain(),
        })?;
        Ok(Bank { generator, kind })
    }

    pub(crate) fn accounts(&self) -> anyhow::Result<Vec<AccountId>> {
        let name = |customer: &Customer| self.named(customer.account_id().as_str());
        self.generator.customers().iter().map(|customer| Ok(AccountId::parse(&name(customer))?)).collect()
    }

    /// The next lines.
    pub(crate) fn rows(&mut self, count: usize, now: Timestamp) -> anyhow::Result<Vec<Vec<u8>>> {
        (0..count).map(|_| self.row(now)).collect()
    }

    /// The next lines, every other one of the first customer.
    pub(crate) fn rows_half_hot(&mut self, count: usize, now: Timestamp) -> anyhow::Result<Vec<Vec<u8>>> {
        let hot = self.accounts()?.swap_remove(0);
        let heat = |(n, mut row): (usize, Vec<u8>)| {
            if n % 2 == 0 {
                let text = String::from_utf8(row)?;
                let (before, rest) = text.split_once(FIELD).context("a line without an account")?;
                let (_, after) = rest.split_once('"').context("a line without an account")?;
                row = format!("{before}{FIELD}{hot}\"{after}").into_bytes();
            }
            Ok(row)
        };
        self.rows(count, now)?.into_iter().enumerate().map(heat).collect()
    }

    fn row(&mut self, now: Timestamp) -> anyhow::Result<Vec<u8>> {
        let json = self.generator.next(now).json;
        let (before, after) = json.split_once(FIELD).context("a line without an account")?;
        Ok(format!("{before}{FIELD}{}", self.named(after)).into_bytes())
    }

    fn named(&self, generated: &str) -> String {
        format!("{}_{}", self.kind, generated.strip_prefix(GENERATED).unwrap_or(generated))
    }
}
