//! Customers are enrolled one by one and by the list, kept out of draws, and let in again.

use rewardhub_tests::rows::{CERTAIN, campaign, purchase};
use rewardhub_tests::{Home, PATIENCE, Sandbox, text};
use serde_json::{Value, json};

use super::recorded;

/// A folder with a campaign in which everyone wins, served as in production: only listed customers.
fn listed() -> (Home, Sandbox) {
    let home = Home::with(&[("REWARDHUB_TOKENS_JWKS", "sandbox")]);
    home.start_campaign("sure", &campaign("sure", CERTAIN, 250, 1_000_000));
    let service = home.listen(&[]);
    service.ready(PATIENCE);
    (home, service)
}

#[test]
fn a_listed_customer_is_enrolled_kept_out_of_draws_and_let_in_again() {
    let (home, service) = listed();
    let (feed, ops) = (service.feed(), service.person("olga", "ops"));
    let account = |arguments: &[&str]| {
        home.run_as(&ops, &[&["account"], arguments, &["--url", service.url()]].concat())
    };
    let send = |id: &str| service.send(&feed, &[purchase(id, "cus_1")]).remove(0);
    let explain = |id: &str| {
        let json = home.run(&["explain", "acme-bank", id, "--json"]).expect_code(0).json();
        let words = home.run(&["explain", "acme-bank", id]).expect_code(0).stdout;
        (json["outcome"].as_str().unwrap().to_owned(), json["reasons"][0].clone(), words)
    };
    assert_eq!(send("t1")["error"]["code"], "account_unknown");
    assert_eq!(account(&["open", "cus_1"]).expect_code(0).stdout, "cus_1: done\n");
    assert_eq!(account(&["open", "cus_1"]).expect_code(0).stdout, "cus_1: it was so already\n");
    assert_eq!(send("t1")["result"], "accepted");
    assert_eq!(explain("t1").0, "won");

    let staff = ["exclude", "cus_1", "--kind", "staff", "--reason", "joined the company"];
    assert_eq!(account(&staff).expect_code(0).stdout, "cus_1: done\n");
    assert_eq!(send("t2")["result"], "accepted");
    let (outcome, reason, words) = explain("t2");
    assert_eq!((outcome.as_str(), &reason["code"]), ("declined", &json!("account_excluded")));
    assert!(reason["staff"].as_str().unwrap().contains("the account was excluded"), "{reason}");
    let (for_staff, for_customer) = words.split_once("For the customer").unwrap();
    assert!(for_staff.contains("account_excluded"), "{words}");
    assert!(for_customer.contains(reason["customer"].as_str().unwrap()), "{words}");

    let shown = account(&["show", "cus_1"]).expect_code(0).json();
    let excluded = &shown["excluded"];
    assert_eq!((&excluded["kind"], &excluded["reason"]), (&json!("staff"), &json!("joined the company")));
    assert_eq!(
        shown["transactions"],
        json!({ "declined": 1, "lost": 0, "won": 1, "deferred": 0, "held": 0, "removed": 0 })
    );
    for personal in ["Coffee", "1250", "250", "GB29", "t1", "m_42"] {
        assert!(!shown.to_string().contains(personal), "{personal}: {shown}");
    }

    let reinstate = ["reinstate", "cus_1", "--reason", "has left again"];
    assert_eq!(account(&reinstate).expect_code(0).stdout, "cus_1: done\n");
    assert_eq!(send("t3")["result"], "accepted");
    assert_eq!(explain("t3").0, "won", "draws again");

    // Closed is for good.
    account(&["close", "cus_1", "--reason", "moved away"]).expect_code(0);
    assert_eq!(send("t4")["error"]["code"], "account_closed");
    let reopened = account(&["open", "cus_1"]).expect_code(1);
    assert!(reopened.stderr.contains("the account is closed"), "{}", reopened.stderr);
    for event in ["AccountOpened", "AccountExcluded", "AccountReinstated", "AccountClosed"] {
        let events = recorded(&home, event);
        let [(actor, _)] = &events[..] else { panic!("{event}: {events:?}") };
        assert_eq!(actor, "operator:olga", "{event}");
    }
    // Over HTTP and beside it the same is shown.
    service.settle(PATIENCE);
    let over_http = account(&["show", "cus_1"]).expect_code(0).json();
    assert_eq!(home.run(&["account", "show", "cus_1"]).expect_code(0).json(), over_http);
    assert_eq!(over_http["rewards"], json!({ "issued": 2, "credited": 2, "reversed": 0 }));
    service.stop();
    home.replayed();
}

#[test]
fn what_is_refused_of_accounts_ends_with_one_and_wrong_usage_with_two() {
    let (home, service) = listed();
    let url = service.url().to_owned();
    let run = |token: &str, arguments: &[&str]| {
        home.run_as(token, &[&["account"], arguments, &["--url", &url]].concat())
    };
    let ops = service.person("olga", "ops");
    // An id may hold what an address must not.
    for id in ["a/b?c#d%2F", "späte kundin"] {
        assert_eq!(run(&ops, &["open", id]).expect_code(0).stdout, format!("{id}: done\n"));
        assert_eq!(run(&ops, &["show", id]).expect_code(0).json()["account_id"], id);
    }
    for unknown in [&["close", "nobody", "--reason", "left"][..], &["show", "nobody"]] {
        let refused = run(&ops, unknown).expect_code(1);
        assert!(refused.stderr.contains("there is no such account"), "{}", refused.stderr);
    }
    for usage in [
        &["close", "cus_1"][..],
        &["exclude", "cus_1", "--kind", "boss", "--reason", "x"],
        &["open", "jo@example.com"],
        &["open"],
    ] {
        run(&ops, usage).expect_code(2);
    }
    let no_scope = run(&service.person("olga", "audit:read campaigns:write"), &["open", "cus_1"]);
    assert!(no_scope.expect_code(2).stderr.contains("the token lacks the scope ops"));
    assert!(
        run(&service.token(&["--scope", "ops"]), &["open", "cus_1"]).expect_code(2).stderr.contains("no sub")
    );
    let unset = home.run(&["account", "open", "cus_1", "--url", &url]).expect_code(2);
    assert!(unset.stderr.contains("REWARDHUB_TOKEN is not set"), "{}", unset.stderr);
    // The folder is served: who does is named.
    let in_use = home.run(&["account", "open", "cus_1"]).expect_code(3);
    assert!(in_use.stderr.contains("in use by rewardhub serve"), "{}", in_use.stderr);
    service.stop();
    run(&ops, &["open", "cus_1"]).expect_code(3);
    let refused = home.run(&["account", "reinstate", "nobody", "--reason", "x"]).expect_code(1);
    assert!(refused.stderr.contains("account nobody: there is no such account"), "{}", refused.stderr);
}

#[test]
fn a_list_is_opened_without_losing_good_rows_to_bad_ones() {
    let (home, service) = listed();
    let mut lines: Vec<String> = (0..2_500).map(|n| format!("cus_{n}")).collect();
    lines[7] = "jo@example.com".into();
    lines[2_100] = "4929420573595709".into();
    lines[2_200] = String::new();
    lines[2_300] = "cus_1".into();
    let file = home.write("ids.txt", lines.join("\n"));
    let list = ["account", "open", "--file", text(&file)];
    let rejections = |stderr: &str| {
        assert_eq!(
            stderr,
            "line 8: must be a pseudonym, not an e-mail address\nline 2101: must not hold a card number\n"
        );
    };
    let summary = |mut found: Value| {
        assert!(found["seconds"].take().is_f64(), "{found}");
        found
    };
    let expected = |opened: u32, unchanged: u32| json!({ "read": 2_499, "opened": opened, "unchanged": unchanged, "rejected": 2, "seconds": null });
    service.stop();
    let ran = home.run(&[&list[..], &["--by", "olga", "--json"]].concat()).expect_code(1);
    rejections(&ran.stderr);
    assert_eq!(summary(ran.json()), expected(2_496, 1));
    assert!(recorded(&home, "AccountOpened").iter().all(|(actor, _)| actor == "operator:olga"));

    let service = home.listen(&[]);
    service.ready(PATIENCE);
    let ops = service.person("oskar", "ops");
    let over_http = [&list[..], &["--url", service.url(), "--json"]].concat();
    let ran = home.run_as(&ops, &over_http).expect_code(1);
    assert_eq!(summary(ran.json()), expected(0, 2_497));
    rejections(&ran.stderr);
    let good = home.write("good.txt", "new_1\r\nnew_2\r\n");
    let ran = home.run_as(&ops, &["account", "open", "--file", text(&good), "--url", service.url()]);
    assert!(ran.expect_code(0).stdout.starts_with("2 read: 2 opened, 0 open already, 0 rejected in "));
    let accepted = service.send(&service.feed(), &[purchase("t1", "new_2"), purchase("t2", "cus_2499")]);
    assert!(accepted.iter().all(|row| row["result"] == "accepted"), "{accepted:?}");
    // A token that may not is no row's fault: it ends at the first.
    let other = service.person("oskar", "audit:read");
    home.run_as(&other, &over_http).expect_code(2);
    service.stop();
}
