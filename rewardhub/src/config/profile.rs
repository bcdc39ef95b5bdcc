//! The profile `production`.

use super::{Config, ConfigError, Production, Tokens};

impl Config {
    /// Refuses what is for one machine and not for customers' money, all of it in one message.
    ///
    /// Asked for wherever keys are opened, so that no command gets around it. `enrolment: open` is
    /// not refused: a feed may be trusted to open accounts. `serve` never has a GraphiQL with a
    /// token, so there is none to refuse.
    pub fn check_profile(&self) -> Result<(), ConfigError> {
        let Some(Production { source }) = &self.production else { return Ok(()) };
        let mut why = vec![
            "data: the root key is a file in the data folder, readable by whoever gets hold of the disk; needed is a \
             key provider that keeps it elsewhere (a KMS), and there is none yet",
            "payout: the sandbox rail pays nobody; needed is a real one, and there is none yet",
        ];
        if self.tokens == Some(Tokens::Sandbox) {
            why.push(
                "tokens.jwks: whoever can read the data folder can make the sandbox issuer's tokens; needed are \
                 tokens.issuer and the file of its keys",
            );
        }
        let why = format!("production is refused\n  {}", why.join("\n  "));
        Err(ConfigError::Setting { setting: "profile", source_of_value: source.clone(), why })
    }
}
