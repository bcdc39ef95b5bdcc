//! The pages for people who look around: `/` says what to do next, `/graphql` is GraphiQL. All of
//! it comes from our own files, so that it works without a network, and no other site can change
//! it.
//!
//! A sandbox's pages come with tokens, for a browser on this machine only.

mod first;
mod graphiql;

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};

use self::first::First;
use crate::ApiState;
use crate::problem::Problem;

/// A token and whose it is, in words.
#[derive(Clone, Debug)]
pub struct PageToken {
    /// Such as `cus_0001`.
    pub sub: &'static str,
    /// Its scopes.
    pub scope: &'static str,
    /// For how long it holds, in words.
    pub ttl: &'static str,
    /// The JWT.
    pub token: String,
}

/// The tokens that a sandbox's pages come with.
#[derive(Clone, Debug)]
pub struct PageTokens {
    /// A customer's.
    pub customer: PageToken,
    /// That of a feed which may also audit.
    pub staff: PageToken,
    /// `GraphiQL`'s: a customer who may also audit.
    pub explorer: PageToken,
}

/// Makes them anew for each page. Anyone who can reach the pages gets them: for sandboxes only.
pub type MakeTokens = Arc<dyn Fn() -> PageTokens + Send + Sync>;

/// The pages run and show what comes from here, and nothing else. `GraphiQL` sets styles itself.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; connect-src 'self'; \
    img-src 'self' data:; font-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
/// What the pages are made of; `LICENSES` beside them says whose it is.
const FILES: [(&str, &str, &str); 7] = [
    ("react.production.min.js", SCRIPT, include_str!("explorer/react.production.min.js")),
    ("react-dom.production.min.js", SCRIPT, include_str!("explorer/react-dom.production.min.js")),
    ("graphiql.min.js", SCRIPT, include_str!("explorer/graphiql.min.js")),
    ("graphiql.min.css", STYLE, include_str!("explorer/graphiql.min.css")),
    ("page.js", SCRIPT, include_str!("explorer/page.js")),
    ("page.css", STYLE, include_str!("explorer/page.css")),
    ("LICENSES", "text/plain; charset=utf-8", include_str!("explorer/LICENSES")),
];

/// `GET /explorer/{file}`.
pub(crate) async fn file(State(state): State<ApiState>, Path(name): Path<String>) -> Response {
    match FILES.iter().find(|(known, ..)| *known == name) {
        Some((_, media_type, text)) if !state.production => {
            let headers = [(header::CONTENT_TYPE, *media_type), (header::CACHE_CONTROL, "max-age=3600")];
            (headers, *text).into_response()
        }
        _ => Problem::new(StatusCode::NOT_FOUND, "there is nothing at this path").into_response(),
    }
}

/// `GET /`: what this is and what to do next.
pub(crate) async fn first(State(state): State<ApiState>, headers: HeaderMap) -> Response {
    let here = loopback(&headers);
    html(first::page(&First {
        here,
        is_sandbox: state.page_tokens.is_some(),
        has_explorer: !state.production,
        has_demo: !state.demo.is_empty(),
        tokens: here.and(state.page_tokens.as_ref()).map(|make| make()),
    }))
}

/// `GET /graphql`: the page of `GraphiQL`, whatever else is in the address.
pub(crate) fn graphiql(state: &ApiState, headers: &HeaderMap) -> Result<Response, Problem> {
    if state.production {
        return Err(Problem::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "there is no page here; send a query as JSON with POST",
        ));
    }
    let (authorization, whose) = match &state.page_tokens {
        // A page of another site that got this address under its own name (DNS rebinding) gets no
        // token.
        Some(_) if loopback(headers).is_none() => {
            return Err(Problem::new(
                StatusCode::FORBIDDEN,
                "this page comes with a token and is served to this machine only; send a query with POST",
            ));
        }
        Some(make) => {
            let PageToken { sub, scope, ttl, token } = make().explorer;
            let whose = format!(
                "Queries are sent with a token of {sub} ({scope}). It holds for {ttl}; load the page again for another."
            );
            (format!("Bearer {token}"), whose)
        }
        None => {
            let whose = "Queries need a token: put yours into the headers at the bottom.";
            (String::new(), whose.to_owned())
        }
    };
    Ok(html(graphiql::page(&authorization, &whose)))
}

fn html(page: String) -> Response {
    let policy = (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    ([policy], Html(page)).into_response()
}

/// The host that a request names, if that is this machine. Browsers always name one.
fn loopback(headers: &HeaderMap) -> Option<&str> {
    let mut hosts = headers.get_all(header::HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else { return None };
    let host = host.to_str().ok()?;
    let is_port = |port: &str| port.parse::<u16>().is_ok() && port.bytes().all(|byte| byte.is_ascii_digit());
    let name = match host.strip_prefix('[') {
        Some(rest) => {
            let (name, port) = rest.split_once(']')?;
            let is_ours = name.parse::<std::net::Ipv6Addr>().is_ok_and(|ip| ip.is_loopback());
            return (is_ours && (port.is_empty() || port.strip_prefix(':').is_some_and(is_port)))
                .then_some(host);
        }
        None => host.rsplit_once(':').map_or(Some(host), |(name, port)| is_port(port).then_some(name))?,
    };
    let ours = name.eq_ignore_ascii_case("localhost")
        || name.parse::<std::net::Ipv4Addr>().is_ok_and(|ip| ip.is_loopback());
    ours.then_some(host)
}
