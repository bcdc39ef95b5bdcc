//! The page of `GraphiQL`. It runs `page.js`, which reads the header from the body.

use maud::{DOCTYPE, html};

/// With the header that queries are sent with, and a sentence that says whose token that is.
pub(super) fn page(authorization: &str, whose: &str) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="robots" content="noindex";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { "RewardHub GraphiQL" }
                link rel="stylesheet" href="/explorer/graphiql.min.css";
                link rel="stylesheet" href="/explorer/page.css";
            }
            body data-authorization=(authorization) {
                p id="whose" { (whose) }
                div id="graphiql" { p { "This page needs JavaScript. Queries are sent with POST to /graphql." } }
                @for file in ["react.production.min.js", "react-dom.production.min.js", "graphiql.min.js", "page.js"] {
                    script src={ "/explorer/" (file) } {}
                }
            }
        }
    };
    page.into_string()
}
