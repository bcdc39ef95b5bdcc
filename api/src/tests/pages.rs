//! The pages for people who look around.

use super::*;

fn page(path: &str, host: &str) -> Request<Body> {
    Request::get(path).header(header::HOST, host).body(Body::empty()).unwrap()
}

const HERE: [&str; 6] = ["127.0.0.1:8080", "localhost", "LOCALHOST:80", "[::1]:8080", "[::1]", "127.9.9.9:1"];
const ELSEWHERE: [&str; 11] = [
    "evil.example",
    "192.168.1.7:8080",
    "localhost.evil.example",
    "127.0.0.1.evil.example:8080",
    "127.0.0.1:x",
    "[::1].evil.example",
    "[::2]:80",
    "::1",
    "]127.0.0.1[",
    "localhost:80:80",
    "",
];

#[tokio::test]
async fn get_answers_graphiqls_page_only_and_in_production_none() {
    for path in [
        "/graphql",
        "/graphql?query=%7B__typename%7D",
        "/graphql?query=mutation%7Bx%7D",
        "/graphql?query=%7B",
    ] {
        for host in HERE {
            let page = house(true).await.send(page(path, host)).await;
            assert_eq!(page.status(), 200, "{host}");
            let page = text(page).await;
            assert!(page.contains("Bearer page-token"), "{page}");
            assert!(page.contains("a token of cus_0001 (rewards:read audit:read)"), "{page}");
        }
        let mut house = house(false).await;
        let plain = text(house.send(get_request(path)).await).await;
        assert!(plain.contains("GraphiQL") && !plain.contains("Bearer") && !plain.contains("{{"), "{plain}");
        house.in_production();
        let none = house.send(get_request(path)).await;
        assert_eq!(none.status(), 405);
        assert!(!text(none).await.contains("data"));
    }
    for host in ELSEWHERE {
        assert_eq!(house(true).await.send(page("/graphql", host)).await.status(), 403, "{host}");
    }
    assert_eq!(house(true).await.send(get_request("/graphql")).await.status(), 403, "it names nobody");
}

#[tokio::test]
async fn the_first_page_says_what_to_do_and_shows_a_sandboxs_tokens_to_its_own_machine_only() {
    for host in HERE {
        let page = text(house(true).await.send(page("/", host)).await).await;
        assert!(
            page.contains("Bearer customer-token") && page.contains("Bearer staff-token"),
            "{host}: {page}"
        );
        assert!(
            page.contains(&format!("curl http://{host}/v1/transactions")) && !page.contains("{{"),
            "{page}"
        );
        assert_eq!(page.matches("<li>").count(), 5);
        assert!(
            page.contains("&quot;merchant&quot;:{"),
            "a payment to nobody known is declined: a poor first minute"
        );
    }
    for sandbox in [true, false] {
        for host in ELSEWHERE {
            let page = house(sandbox).await.send(page("/", host)).await;
            assert_eq!(page.status(), 200);
            let page = text(page).await;
            assert!(!page.contains("-token") && !page.contains("{{"), "{host}: {page}");
            assert!(host.is_empty() || host == "::1" || !page.contains(host), "{host}");
        }
        let page = text(house(sandbox).await.send(get_request("/")).await).await;
        assert!(!page.contains("-token"), "it names nobody");
    }
    let page = text(house(false).await.send(page("/", "localhost")).await).await;
    assert!(!page.contains("-token"), "only a sandbox has tokens");
}

#[tokio::test]
async fn pages_need_nothing_from_elsewhere_and_say_so_to_the_browser() {
    let mut house = house(true).await;
    for path in ["/", "/graphql"] {
        let page = house.send(page(path, "localhost")).await;
        let policy = page.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'; script-src 'self';"), "{policy}");
        let page = text(page).await;
        assert!(!page.contains("https:") && !page.contains("//unpkg"), "{page}");
        let sources = page.split(['"', '\'']).filter(|part| part.starts_with("/explorer/"));
        for source in sources {
            let file = house.send(get_request(source)).await;
            assert_eq!(file.status(), 200, "{source}");
            let media_type = file.headers()[header::CONTENT_TYPE].to_str().unwrap();
            assert!(media_type.starts_with("text/"), "{source}: {media_type}");
        }
    }
    let licences = to_bytes(house.send(get_request("/explorer/LICENSES")).await.into_body(), 1 << 20);
    let licences = String::from_utf8(licences.await.unwrap().to_vec()).unwrap();
    assert_eq!(licences.matches("MIT License").count(), 3);
    assert_eq!(house.send(get_request("/explorer/first.html")).await.status(), 404);
    house.in_production();
    assert_eq!(house.send(get_request("/explorer/graphiql.min.js")).await.status(), 404);
    assert!(!text(house.send(page("/", "localhost")).await).await.contains("/graphql\">"));
}
