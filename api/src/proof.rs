//! The proof of a draw, for whoever trusts neither our code nor us: as JSON, and as a page that
//! recomputes it in the browser without a network.
//!
//! `proof/proof.js` does the recomputing and is all that the page runs; node runs the same file.
//! The JSON is, name by name, what GraphQL answers to [`QUERY`].

use std::sync::{Arc, LazyLock};

use aws_lc_rs::digest;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use ledger_core::draw::Draw;
use ledger_core::ids::{Source, TransactionId};
use maud::{DOCTYPE, PreEscaped, html};
use projections::campaigns::epochs::EpochRow;
use projections::{Connection, ProjectionError, ReadStore, campaigns, transactions};
use serde_json::{Value, json};

use crate::ApiState;
use crate::problem::Problem;

/// Everything of a proof.
pub const QUERY: &str = "query($source: ID!, $transactionId: ID!) { \
     drawProof(source: $source, transactionId: $transactionId) { source transactionId campaignId algorithm \
     draw { campaign { name } entryId epoch r tier amount { minor currency exponent } } \
     rejections tierMask commitment \
     committedAt opensAt revealsAt commitmentPosition tableHash \
     prizeTable beaconSpec beacon beaconSignature seed } }";

const STYLE: &str = include_str!("proof/page.css");
const SCRIPT: &str = include_str!("proof/proof.js");

/// Nothing from anywhere, and no script or style but ours.
static POLICY: LazyLock<String> = LazyLock::new(|| {
    let hash = |text: &str| BASE64_STANDARD.encode(digest::digest(&digest::SHA256, text.as_bytes()));
    format!(
        "default-src 'none'; script-src 'sha256-{}'; style-src 'sha256-{}'; base-uri 'none'; form-action 'none'",
        hash(SCRIPT),
        hash(STYLE)
    )
});

/// The page, by itself or with proofs in it: a file that needs nothing else.
pub fn page(proofs: Option<&Value>) -> String {
    // Inside a script element only this character could end it.
    let proofs = proofs.map_or(String::new(), |proofs| proofs.to_string().replace('<', "\\u003c"));
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(POLICY.as_str());
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { "Your draw, checked" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                main {
                    h1 { "Your draw, checked here, in your browser" }
                    div id="results" aria-live="polite" {}
                    details id="another" {
                        summary { "Check a proof" }
                        p {
                            "Paste the proof of a draw: what " code { "drawProof" } " answers, or what " code { "rewardhub proof" }
                            " prints. This page recomputes it here and sends nothing to anybody. Save it, and it works without "
                            "a network."
                        }
                        textarea id="input" rows="12" spellcheck="false" aria-label="Proof as JSON" {}
                        p { button id="check" type="button" { "Check" } }
                    }
                }
                script type="application/json" id="proof" { (PreEscaped(proofs)) }
                script { (PreEscaped(SCRIPT)) }
            }
        }
    };
    page.into_string()
}

/// `GET /proof`. Public: there is nothing in it.
pub(crate) async fn get() -> Response {
    respond(None)
}

/// `GET /proof/demo`: proofs of a sandbox's day that is over, one of a purchase that won and one of
/// one that did not. Public: the customer is made up.
pub(crate) async fn demo(State(state): State<ApiState>) -> Result<Response, Problem> {
    let purchases = Arc::clone(&state.demo);
    if purchases.is_empty() {
        return Err(Problem::new(StatusCode::NOT_FOUND, "there is nothing at this path"));
    }
    let all = state.read.read(move |conn| {
        let each = purchases.iter().map(|(source, id)| of_transaction(conn, source, id));
        let found: Vec<_> = each.collect::<Result<_, _>>()?;
        Ok(found.into_iter().flatten().flatten().collect::<Vec<Value>>())
    });
    let later =
        || Problem::new(StatusCode::SERVICE_UNAVAILABLE, "the proofs cannot be read just now").retry_after(1);
    let all = all.await.map_err(|error| {
        tracing::error!(error = &error as &dyn std::error::Error, "the demo's proofs cannot be read");
        later()
    })?;
    let first = |won: bool| all.iter().find(|proof| proof["draw"]["amount"].is_null() != won).cloned();
    let shown: Vec<_> = [true, false].into_iter().filter_map(first).collect();
    // The read models of a sandbox that has just begun are a moment behind.
    if shown.is_empty() {
        return Err(later());
    }
    Ok(respond(Some(&Value::Array(shown))))
}

fn respond(proofs: Option<&Value>) -> Response {
    let policy = format!("{}; frame-ancestors 'none'", *POLICY);
    let policy = HeaderValue::try_from(policy).expect("words and base64");
    ([(header::CONTENT_SECURITY_POLICY, policy)], Html(page(proofs))).into_response()
}

/// The proofs of a line's draws; `None` if there is no such line.
pub async fn proofs(
    read: &ReadStore,
    source: Source,
    transaction_id: TransactionId,
) -> Result<Option<Vec<Value>>, ProjectionError> {
    read.read(move |conn| of_transaction(conn, &source, &transaction_id)).await
}

fn of_transaction(
    conn: &Connection,
    source: &Source,
    transaction_id: &TransactionId,
) -> Result<Option<Vec<Value>>, ProjectionError> {
    let Some(line) = transactions::transaction(conn, source, transaction_id, None)? else {
        return Ok(None);
    };
    let proofs = line.draws.iter().map(|draw| proof(conn, source, transaction_id, draw));
    proofs.collect::<Result<Vec<_>, _>>().map(Some)
}

fn proof(
    conn: &Connection,
    source: &Source,
    transaction_id: &TransactionId,
    draw: &Draw,
) -> Result<Value, ProjectionError> {
    let missing = |column| ProjectionError::Damaged { column };
    let epoch = campaigns::epochs::epoch(conn, &draw.campaign_id, draw.epoch)?.ok_or(missing("epoch"))?;
    let reveals_at = epoch.reveals_at();
    let EpochRow { commitment, opens_at, beacon_spec, beacon, beacon_signature, seed, .. } = epoch;
    let committed_at = epoch.committed_at.ok_or(missing("committed_at"))?;
    let committed_in = epoch.committed_in.ok_or(missing("committed_in"))?;
    let table = campaigns::prize_table(conn, &draw.campaign_id, &draw.table_hash)?;
    let table = table.ok_or(missing("table_hash"))?;
    let campaign = campaigns::campaign(conn, &draw.campaign_id)?.ok_or(missing("campaign_id"))?;
    let name = campaign.terms.name;
    let tier = draw.tier.and_then(|tier| table.tiers.get(tier as usize)).map(|tier| &tier.name);
    let amount = draw.amount.map(|amount| {
        let currency = amount.currency();
        json!({
            "minor": amount.minor().to_string(), "currency": currency.code(), "exponent": currency.exponent(),
        })
    });
    Ok(json!({
        "source": source, "transactionId": transaction_id, "campaignId": draw.campaign_id, "algorithm": draw.algorithm,
        "draw": {
            "campaign": { "name": name }, "entryId": draw.entry_id, "epoch": draw.epoch, "r": draw.r, "tier": tier, "amount": amount,
        },
        "rejections": draw.rejections, "tierMask": draw.tier_mask.to_string(), "commitment": commitment,
        "committedAt": committed_at, "opensAt": opens_at, "revealsAt": reveals_at,
        "commitmentPosition": committed_in.to_string(),
        "tableHash": draw.table_hash, "prizeTable": table, "beaconSpec": beacon_spec, "beacon": beacon,
        "beaconSignature": beacon_signature, "seed": seed,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_needs_nothing_from_anywhere_and_runs_nothing_else() {
        let hostile = json!({ "source": "</script><script>alert(1)</script>{{script}}" });
        for page in [page(None), page(Some(&hostile))] {
            assert_eq!(page.matches("<script").count(), 2, "the data and the script");
            assert_eq!(page.matches("</script").count(), 2);
            for outside in
                ["http://", "https:", "src=", "href=", "import ", "fetch(", "eval(", "innerHTML", "onclick"]
            {
                assert!(!page.replace("https pages", "").contains(outside), "{outside}");
            }
            let policy = page.split("Content-Security-Policy\" content=\"").nth(1).unwrap();
            let policy = policy.split('"').next().unwrap();
            assert!(
                policy.starts_with("default-src 'none'; script-src 'sha256-") && !policy.contains("unsafe")
            );
            // What the browser will hash is what the policy allows.
            let script = page.rsplit("<script>").next().unwrap().split("</script>").next().unwrap();
            let hash = BASE64_STANDARD.encode(digest::digest(&digest::SHA256, script.as_bytes()));
            assert!(policy.contains(&hash));
            let style = page.split("<style>").nth(1).unwrap().split("</style>").next().unwrap();
            let hash = BASE64_STANDARD.encode(digest::digest(&digest::SHA256, style.as_bytes()));
            assert!(policy.contains(&hash));
        }
    }
}
