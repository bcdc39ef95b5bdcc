//! Which web apps may read our answers in a browser: those of configured origins, of what apps use
//! (`/graphql`, `/v1`).
//!
//! By default none may. A token is sent in a header and never by the browser itself, so that
//! credentials in the sense of CORS are not allowed.

use std::time::Duration;

use axum::Router;
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, Uri, header};
use tower_http::cors::{AllowOrigin, CorsLayer};

use crate::observe::X_REQUEST_ID;

/// Origins at most.
const ORIGINS_MAX: usize = 100;
/// How long a browser may remember what it was allowed.
const REMEMBERED: Duration = Duration::from_hours(1);

/// Origins of web apps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origins(Vec<HeaderValue>);

impl Origins {
    /// Reads origins with commas between them, as browsers send them: `https://app.example`,
    /// `http://localhost:5173`.
    pub fn parse(text: &str) -> Result<Origins, String> {
        let origins = text.split(',').map(str::trim).filter(|origin| !origin.is_empty());
        let origins = origins.map(origin).collect::<Result<Vec<_>, _>>()?;
        if origins.len() > ORIGINS_MAX {
            Err(format!("at most {ORIGINS_MAX} origins"))
        } else {
            Ok(Origins(origins))
        }
    }

    /// Lets these in.
    pub(crate) fn around(&self, routes: Router) -> Router {
        if self.0.is_empty() {
            return routes;
        }
        let origins = self.0.clone();
        let allowed =
            move |origin: &HeaderValue, request: &Parts| is_open(request) && origins.contains(origin);
        let layer = CorsLayer::new()
            .allow_origin(AllowOrigin::predicate(allowed))
            .allow_methods([Method::GET, Method::POST])
            .allow_headers([header::AUTHORIZATION, header::CONTENT_TYPE, header::ACCEPT, X_REQUEST_ID])
            .expose_headers([header::WWW_AUTHENTICATE, header::RETRY_AFTER, X_REQUEST_ID])
            .max_age(REMEMBERED);
        routes.layer(layer)
    }
}

/// Whether apps use it. A sandbox's page of GraphiQL holds a token, and no other page may read it.
fn is_open(request: &Parts) -> bool {
    let path = request.uri.path();
    path.starts_with("/v1/")
        || path == "/graphql" && request.method != Method::GET && request.method != Method::HEAD
}

fn origin(text: &str) -> Result<HeaderValue, String> {
    let bad = || {
        "must be origins such as https://app.example or http://localhost:5173, without a path or `*`"
            .to_owned()
    };
    let uri: Uri = text.parse().map_err(|_| bad())?;
    let authority = uri.authority().ok_or_else(bad)?;
    let scheme = uri.scheme_str().ok_or_else(bad)?;
    let default = match scheme {
        "http" => 80,
        "https" => 443,
        _ => return Err(bad()),
    };
    // What a browser never sends would never match.
    let port = authority.port_u16();
    let sent = match port {
        Some(port) if port != default => format!("{scheme}://{}:{port}", authority.host()),
        _ => format!("{scheme}://{}", authority.host()),
    };
    if authority.host().is_empty() || authority.host().contains('*') || text != sent.to_ascii_lowercase() {
        return Err(bad());
    }
    HeaderValue::from_str(text).map_err(|_| bad())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_written_as_browsers_send_it() {
        for good in [
            "",
            "https://app.example",
            "https://app.example, http://localhost:5173,",
            "http://[::1]:8080",
            "http://127.0.0.1:3000",
        ] {
            assert!(Origins::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "*",
            "null",
            "app.example",
            "https://*.example",
            "https://app.example/",
            "https://app.example/path",
            "https://app.example?x",
            "https://app.example:443",
            "http://app.example:80",
            "https://App.example",
            "HTTPS://app.example",
            "https://mary@app.example",
            "ftp://app.example",
            "file:///x",
            "https://app.example https://b.example",
        ] {
            assert!(Origins::parse(bad).is_err(), "{bad}");
        }
        let many = |count| (0..count).map(|n| format!("https://a{n}.example")).collect::<Vec<_>>().join(",");
        assert!(Origins::parse(&many(ORIGINS_MAX)).is_ok());
        assert!(Origins::parse(&many(ORIGINS_MAX + 1)).is_err());
    }
}
