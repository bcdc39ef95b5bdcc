//! Answers that have to have seen a position.

use super::*;

#[tokio::test(start_paused = true)]
async fn read_models_that_were_taken_back_do_not_pass_for_fresh() {
    for (shown, seen) in [("read.db", true), ("older.db", false)] {
        let house = house_that_shows(false, shown).await;
        let payload = br#"{"AccountOpened":{"enrolled_at":"2026-11-22T10:00:00Z"}}"#.to_vec();
        let mut history = History { payload, ..History::default() };
        let opened = history.event(&stream("a"));
        let head = house.log.lease("test", None).await.unwrap();
        house.log.append(&history.batch(head.term, vec![opened])).await.unwrap();
        let runner = house.runner.as_ref().unwrap();
        assert_eq!(runner.step().await.unwrap(), 1, "this far they were said to be");
        let auditor = house.token(None, "audit:read");
        for query in [
            "{ rewardAccount(accountId: \"a\", minPosition: \"0:1\") { position } }",
            "{ trialBalance(asOf: \"0:1\") { position } }",
        ] {
            let answer = house.query(Some(&auditor), query).await;
            if seen {
                let data = answer["data"].as_object().unwrap();
                assert_eq!(data.values().next().unwrap()["position"], "0:1", "{answer}");
            } else {
                assert_eq!(code(&answer), "POSITION_NOT_REACHED", "{answer}");
            }
        }
    }
}
