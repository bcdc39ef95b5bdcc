//! Which claims of a token say what. Identity providers differ: their names are configuration.

use ledger_core::ids::{AccountId, Source};
use ledger_core::steps::intake::Sources;
use serde_json::{Map, Value};

use super::{Identity, Scopes, TokenRefused};

/// The names of the claims that are read, all at the top level of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    /// The customer's account.
    pub account: String,
    /// What is allowed: words between spaces, or a list of words. Of several claims all count.
    pub scope: Vec<String>,
    /// What stands before each word of ours; words without it are not ours.
    pub scope_prefix: String,
    /// Whom the token is for: a text or a list.
    pub audience: String,
    /// Whose transactions a feed may bring: names between spaces, or a list.
    pub sources: String,
}

impl Default for Claims {
    fn default() -> Claims {
        Claims {
            account: "sub".into(),
            scope: vec!["scope".into()],
            scope_prefix: String::new(),
            audience: "aud".into(),
            sources: "sources".into(),
        }
    }
}

impl Claims {
    /// Whether the token is for `audience`.
    pub(super) fn are_for(&self, audience: &str, token: &Map<String, Value>) -> Result<bool, TokenRefused> {
        match token.get(&self.audience) {
            Some(Value::String(one)) => Ok(one == audience),
            Some(Value::Array(many)) => Ok(many.iter().any(|one| one == audience)),
            _ => Err(TokenRefused::WrongClaims),
        }
    }

    /// Who it is and what he may do.
    pub(super) fn identity(&self, token: &Map<String, Value>) -> Result<Identity, TokenRefused> {
        let id = |claim: &str| match token.get(claim) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(id)) => AccountId::parse(id).map(Some).map_err(|_| TokenRefused::WrongClaims),
            Some(_) => Err(TokenRefused::WrongClaims),
        };
        let account = id(&self.account)?;
        // A `sub` that is no name of ours names nobody; it need not, where another claim has the
        // account.
        let subject = id("sub").ok().flatten();
        let mut scopes = vec![];
        for claim in &self.scope {
            scopes.extend(words(token.get(claim))?);
        }
        let scopes = scopes.into_iter().filter_map(|word| word.strip_prefix(&*self.scope_prefix));
        let sources = words(token.get(&self.sources))?;
        let sources = if sources.contains(&"*") {
            Sources::All
        } else {
            // What is no source's name names no source: such a token just has less.
            Sources::Only(sources.into_iter().filter_map(|source| Source::parse(source).ok()).collect())
        };
        Ok(Identity { account, subject, scopes: Scopes::of(scopes), sources })
    }
}

/// A text's words, or a list's.
fn words(claim: Option<&Value>) -> Result<Vec<&str>, TokenRefused> {
    match claim {
        None | Some(Value::Null) => Ok(vec![]),
        Some(Value::String(words)) => Ok(words.split(' ').filter(|word| !word.is_empty()).collect()),
        Some(Value::Array(list)) => {
            let words = list.iter().map(|word| word.as_str().ok_or(TokenRefused::WrongClaims));
            words.collect()
        }
        Some(_) => Err(TokenRefused::WrongClaims),
    }
}
