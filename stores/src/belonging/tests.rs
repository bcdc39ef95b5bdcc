//! What fits and what does not, one by one.

use super::*;

const OURS: &str = "00112233445566778899aabbccddeeff";
const THEIRS: &str = "ffeeddccbbaa99887766554433221100";

fn id(text: &str) -> Option<LedgerId> {
    Some(LedgerId::from_text(text).unwrap())
}

fn log(head: u64) -> LogFound {
    LogFound { absent: false, ledger: id(OURS), head: Position(head), keys: vec![], rail_asked: false }
}

fn store(kind: StoreKind, ledger: Option<LedgerId>, position: u64) -> Found {
    let holds = Holds { ledger, position: Position(position), rows: false, own_keys: true };
    Found { name: "other.db".into(), kind, holds: Some(holds), made_when_missing: true }
}

fn missing(kind: StoreKind) -> Found {
    Found { name: "other.db".into(), kind, holds: None, made_when_missing: true }
}

#[test]
fn a_store_of_this_ledger_up_to_the_head_fits_and_one_beyond_it_does_not() {
    for kind in [StoreKind::ReadModels, StoreKind::Steps, StoreKind::Keys, StoreKind::Rail] {
        for (position, fits) in [(0, true), (6, true), (7, true), (8, false)] {
            let found = misfits("log.db", &log(7), &[store(kind, id(OURS), position)]);
            assert_eq!(found.is_empty(), fits, "{kind:?} at {position}: {found:?}");
        }
    }
}

#[test]
fn a_store_of_another_ledger_does_not_fit_wherever_it_is() {
    for kind in [StoreKind::ReadModels, StoreKind::Steps, StoreKind::Keys, StoreKind::Rail] {
        let found = misfits("log.db", &log(7), &[store(kind, id(THEIRS), 3)]);
        assert!(found.len() == 1 && found[0].contains("other.db belongs to another ledger"), "{found:?}");
        // From before there were ids.
        assert!(misfits("log.db", &log(7), &[store(kind, None, 3)]).is_empty());
    }
}

#[test]
fn an_absent_log_fits_only_what_has_seen_nothing() {
    let absent = LogFound { absent: true, ..LogFound::default() };
    let own_keys_only =
        Found { holds: Some(Holds { own_keys: true, ..Holds::default() }), ..missing(StoreKind::Keys) };
    assert!(misfits("log.db", &absent, &[own_keys_only, missing(StoreKind::ReadModels)]).is_empty());
    for seen in [store(StoreKind::Steps, None, 1), store(StoreKind::ReadModels, id(OURS), 0)] {
        let found = misfits("log.db", &absent, &[seen]);
        assert!(found.len() == 1 && found[0].starts_with("log.db is missing or empty"), "{found:?}");
    }
    let keys = Found { holds: Some(Holds { rows: true, ..Holds::default() }), ..missing(StoreKind::Keys) };
    assert_eq!(misfits("log.db", &absent, &[keys]).len(), 1);
}

#[test]
fn keys_must_be_there_once_something_was_written_under_them() {
    let noted = vec![KeyPrint { name: "index".into(), fingerprint: [1; 16] }];
    assert!(misfits("log.db", &log(0), &[missing(StoreKind::Keys)]).is_empty());
    assert_eq!(misfits("log.db", &log(1), &[missing(StoreKind::Keys)]).len(), 1);
    let empty_but_begun = LogFound { keys: noted.clone(), ..log(0) };
    assert_eq!(misfits("log.db", &empty_but_begun, &[missing(StoreKind::Keys)]).len(), 1);
    let mut emptied = store(StoreKind::Keys, id(OURS), 1);
    emptied.holds.as_mut().unwrap().own_keys = false;
    assert_eq!(misfits("log.db", &log(1), &[emptied]).len(), 1);

    assert_eq!(wrong_keys("log.db", "keys.db", &noted, &noted), None);
    let later = [noted[0].clone(), KeyPrint { name: "index-2027".into(), fingerprint: [2; 16] }];
    assert_eq!(wrong_keys("log.db", "keys.db", &noted, &later), None);
    let anew = [KeyPrint { name: "index".into(), fingerprint: [3; 16] }];
    assert!(wrong_keys("log.db", "keys.db", &noted, &anew).is_some());
}

#[test]
fn read_models_and_cursors_may_be_missing_and_a_rail_that_has_paid_may_not() {
    let rest = [missing(StoreKind::ReadModels), missing(StoreKind::Steps), missing(StoreKind::Rail)];
    assert!(misfits("log.db", &log(7), &rest).is_empty());
    assert_eq!(misfits("log.db", &LogFound { rail_asked: true, ..log(7) }, &rest).len(), 1);
}
