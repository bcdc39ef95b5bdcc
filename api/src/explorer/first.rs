//! `/`: what this is and the five things to do next.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::{PageToken, PageTokens};

const STYLE: &str = include_str!("first.css");

/// What the page depends on.
pub(super) struct First<'a> {
    /// The host that the browser named, if that is this machine.
    pub(super) here: Option<&'a str>,
    pub(super) is_sandbox: bool,
    pub(super) has_explorer: bool,
    /// A finished proof is to be seen.
    pub(super) has_demo: bool,
    /// A sandbox's, for a browser on this machine.
    pub(super) tokens: Option<PageTokens>,
}

pub(super) fn page(first: &First<'_>) -> String {
    let First { here, has_explorer, has_demo, tokens, .. } = first;
    let address = here.unwrap_or("ADDRESS");
    let (customer, feed) = match tokens {
        Some(tokens) => (&*tokens.customer.token, &*tokens.staff.token),
        None => ("CUSTOMER_TOKEN", "FEED_TOKEN"),
    };
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="robots" content="noindex";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { "RewardHub" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                main {
                    h1 { "RewardHub" }
                    p { "A reward ledger: purchases come in, some of them win, and everybody can check the draw." }
                    (tokens_said(first))
                    h2 { "What to do next" }
                    ol {
                        li { "Send a purchase, as a bank's feed does:" (command("The command that sends a purchase", &send(address, feed))) }
                        li {
                            "Read it as the customer:" (command("The command that reads it", &read(address, customer)))
                            @if *has_explorer {
                                p { a href="/graphql" { "GraphiQL" } " shows the schema and sends queries." }
                            }
                        }
                        li {
                            "Ask for the proof of a draw (" code { "drawProof" } " in GraphQL) and "
                            a href="/proof" { "check it in the browser" } "."
                            @if *has_demo { " A " a href="/proof/demo" { "finished proof of yesterday" } " shows how that looks." }
                        }
                        li {
                            "Write a client: " a href="/openapi.json" { "the REST part in OpenAPI" }
                            "; GraphQL answers its schema over introspection."
                        }
                        li {
                            "Watch it: " a href="/readyz" { "is it ready?" } " " a href="/metrics" { "Metrics" }
                            " for Prometheus."
                        }
                    }
                }
            }
        }
    };
    page.into_string()
}

fn tokens_said(first: &First<'_>) -> Markup {
    let said = |token: &PageToken| {
        html! {
            p { "A token of " code { (token.sub) } " (" (token.scope) "), for " (token.ttl) ":" }
            (command(&format!("A token of {}", token.sub), &token.token))
        }
    };
    match &first.tokens {
        Some(tokens) => html! { (said(&tokens.customer)) (said(&tokens.staff)) },
        None if first.is_sandbox => {
            html! { p { "Tokens are shown to a browser on the sandbox's own machine only." } }
        }
        None => html! { p { "Tokens come from your identity provider." } },
    }
}

/// Text to be copied; it scrolls by itself, with the keyboard too.
fn command(label: &str, text: &str) -> Markup {
    html! { pre role="region" aria-label=(label) tabindex="0" { (text) } }
}

fn send(address: &str, token: &str) -> String {
    format!(
        r#"curl http://{address}/v1/transactions -H 'Content-Type: application/json' \
  -H 'Authorization: Bearer {token}' \
  -d '{{"source":"my-bank","transaction_id":"tx-1","account_id":"cus_0001","status":"booked",
       "booked_at":"'$(date -u +%Y-%m-%dT%H:%M:%SZ)'","amount":{{"minor":"1250","currency":"GBP"}},
       "direction":"debit","from_account":"GB29NWBK60161331926819","description":"COFFEE HOUSE",
       "merchant":{{"id":"m_42","name":"Coffee House","mcc":"5814","country":"GB"}}}}'"#
    )
}

fn read(address: &str, token: &str) -> String {
    format!(
        r#"curl http://{address}/graphql -H 'Content-Type: application/json' \
  -H 'Authorization: Bearer {token}' \
  -d '{{"query":"{{ rewardAccount {{ transactions(first: 1) {{ nodes {{ transactionId decision {{ outcome explanation {{ message }} }} }} }} }} }}"}}'"#
    )
}
