//! One damaged account takes nobody along, and the log of the service stays short.

use std::time::{Duration, Instant};

use rewardhub_tests::rows::purchase;
use serde_json::Value;

use super::world::{SOON, everywhere};

#[test]
fn one_damaged_account_is_refused_alone_and_told_of_once() {
    for ledger in everywhere() {
        let home = &ledger.home;
        let service = home.listen(&[]);
        service.ready(SOON);
        let feed = service.feed();
        for account in ["cus_event", "cus_key", "cus_good"] {
            service.send(&feed, &[purchase(&format!("{account}-first"), account)]);
        }
        service.settled(SOON);
        // Whatever waits for issue, notice and credit is done.
        std::thread::sleep(Duration::from_secs(1));
        service.stop_by("TERM").expect_code(0);
        ledger.damage("cus_event", r#"{"AccountBlessed":{}}"#);
        ledger.damage_key("cus_key");

        let service = home.listen(&[]);
        service.ready(SOON);
        let (until, mut round) = (Instant::now() + Duration::from_secs(5), 0);
        while Instant::now() < until {
            round += 1;
            let rows: Vec<Value> = ["cus_event", "cus_good", "cus_key", "cus_other"]
                .map(|account| purchase(&format!("{account}-{round}"), account))
                .into();
            let answers = service.send(&feed, &rows);
            let said: Vec<&str> = answers.iter().map(|a| a["result"].as_str().unwrap()).collect();
            assert_eq!(said, ["rejected", "accepted", "rejected", "accepted"], "round {round}: {answers:?}");
            for refused in [&answers[0], &answers[2]] {
                assert_eq!(refused["error"]["code"], "account_unavailable", "{refused}");
                assert_eq!(refused["error"]["field"], "account_id", "{refused}");
            }
        }
        assert!(round > 20, "{round} rounds");
        // Shown it is unavailable too, and not a fault of the service.
        let ops = service.person("olga", "ops");
        let shown =
            ["cus_event", "cus_good"].map(|id| service.get_as(&ops, &format!("/v1/accounts/{id}")).status);
        assert_eq!(shown, [503, 200]);
        assert_eq!(service.get("/readyz").status, 200);
        let ran = service.stop_by("TERM").expect_code(0);
        let told = |what: &str| ran.stderr.lines().filter(|line| line.contains(what)).count();
        // Once for its rows, once for the one who wanted to see it.
        assert_eq!((told("cus_event"), told("cus_key")), (2, 1), "{}", ran.stderr);
        assert!(ran.stderr.len() < 20_000, "{} bytes after {round} rounds", ran.stderr.len());
    }
}
