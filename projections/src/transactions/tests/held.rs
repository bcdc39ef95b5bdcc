//! What becomes of a line that the bank took back and booked again.

use super::*;

#[test]
fn a_removed_line_keeps_its_decision_also_when_it_is_held() {
    on_both(|place| {
        let linked = AccountEvent::TransactionLinked {
            source: source(),
            transaction_id: tx("t2"),
            linked_to: tx("t1"),
            fingerprint: None,
            fingerprint_version: 1,
        };
        // By another name the event still says which line it is; it reversed nothing where it does
        // not.
        let store = place.after([won("t1", 100), linked, removed("t2")]);
        let row = find(&store, "t1").unwrap();
        assert_eq!((row.status, row.removed_at), (TransactionStatus::Booked, None));
        let store = place.after([won("t1", 100), removed("t1")]);
        let row = find(&store, "t1").unwrap();
        assert_eq!((row.status, row.outcome), (TransactionStatus::Removed, Some(Outcome::Won)));
        assert_eq!(row.removed_at, Some(at(50)));
        assert_eq!(listed(&store), ["t1"]);
        let store = place.after([won("t1", 100), removed("t1"), deferred("t1", DeferReason::Held)]);
        let row = find(&store, "t1").unwrap();
        assert_eq!((row.status, row.outcome), (TransactionStatus::Held, Some(Outcome::Won)));
    });
}

#[test]
fn a_released_line_is_deferred_again_and_decided_in_its_place() {
    on_both(|place| {
        let held = [removed("t1"), deferred("t1", DeferReason::Held), lost("t2")];
        let released = held.into_iter().chain([reviewed("t1", Verdict::Released)]);
        let store = place.after(released.clone());
        let row = find(&store, "t1").unwrap();
        assert_eq!((row.status, row.outcome), (TransactionStatus::Deferred, None));
        assert_eq!((row.defer_reason, row.verdict, row.removed_at), (None, Some(Verdict::Released), None));
        let store = place.after(released.clone().chain([won("t1", 100)]));
        let row = find(&store, "t1").unwrap();
        assert_eq!((row.status, row.outcome), (TransactionStatus::Booked, Some(Outcome::Won)));
        assert_eq!(row.verdict, Some(Verdict::Released));
        // Taken back before it was decided, and held again: what was said of it before is over.
        let again = released.chain([removed("t1"), deferred("t1", DeferReason::Held)]);
        let row = find(&place.after(again), "t1").unwrap();
        assert_eq!((row.status, row.verdict), (TransactionStatus::Held, None));
    });
}

#[test]
fn a_held_line_says_what_one_person_has_proposed_until_it_is_held_no_longer() {
    on_both(|place| {
        let held = || [removed("t1"), deferred("t1", DeferReason::Held)].into_iter();
        let after = |events: &[AccountEvent]| {
            find(&place.after(held().chain(events.iter().cloned())), "t1").unwrap().proposal
        };
        let (release, dismiss) = (proposed("t1", Verdict::Released), proposed("t1", Verdict::Dismissed));
        assert_eq!(after(&[]), None);
        let proposal = after(std::slice::from_ref(&release)).unwrap();
        assert_eq!((proposal.verdict, proposal.by.as_str()), (Verdict::Released, "anna"));
        assert_eq!((proposal.reason.as_str(), proposal.proposed_at), ("because", at(55)));
        // Another verdict takes its place.
        let proposal = after(&[release.clone(), dismiss]).unwrap();
        assert_eq!(proposal.verdict, Verdict::Dismissed);
        for over in [reviewed("t1", Verdict::Released), reviewed("t1", Verdict::Dismissed), removed("t1")] {
            assert_eq!(after(&[release.clone(), over]), None);
        }
        // Held again, it is proposed again.
        assert_eq!(after(&[release, removed("t1"), deferred("t1", DeferReason::Held)]), None);
    });
}

#[test]
fn a_dismissed_line_is_removed_as_it_was_or_declined_if_it_was_never_decided() {
    on_both(|place| {
        let dismissed =
            [removed("t1"), deferred("t1", DeferReason::Held), reviewed("t1", Verdict::Dismissed)];
        let row = find(&place.after([won("t1", 100)].into_iter().chain(dismissed.clone())), "t1").unwrap();
        assert_eq!((row.status, row.outcome), (TransactionStatus::Removed, Some(Outcome::Won)));
        assert_eq!(
            (row.defer_reason, row.verdict, row.removed_at),
            (None, Some(Verdict::Dismissed), Some(at(50)))
        );
        let store = place.after(dismissed);
        let row = find(&store, "t1").unwrap();
        assert_eq!((row.status, row.outcome), (TransactionStatus::Booked, Some(Outcome::Declined)));
        assert_eq!((row.defer_reason, row.verdict, row.removed_at), (None, Some(Verdict::Dismissed), None));
        assert_eq!(listed(&store), ["t1"]);
    });
}

#[test]
fn a_line_held_under_its_own_name_is_not_removed_by_the_one_it_had_while_pending() {
    on_both(|place| {
        let line = Line { pending_transaction_id: Some(tx("p1")), ..line("t1") };
        let held = AccountEvent::TransactionDeferred { line, reason: DeferReason::Held };
        let store = place.after([removed("t1"), held, removed("p1")]);
        assert_eq!(find(&store, "t1").unwrap().status, TransactionStatus::Held);
    });
}

#[test]
fn a_purchases_other_name_finds_it_and_has_a_row_of_its_own_only_while_it_is_held() {
    on_both(|place| {
        let linked = || AccountEvent::TransactionLinked {
            source: source(),
            transaction_id: tx("lx"),
            linked_to: tx("lp"),
            fingerprint: None,
            fingerprint_version: 1,
        };
        let taken_back = AccountEvent::TransactionRemoved {
            source: source(),
            transaction_id: tx("lp"),
            removed_at: at(50),
            undecided: false,
            named: Some(tx("lx")),
        };
        let store = place.after([noted("lx"), won("lp", 100), linked(), noted("lx"), taken_back.clone()]);
        let row = find(&store, "lx").unwrap();
        assert_eq!((row.transaction_id.as_str(), row.status), ("lp", TransactionStatus::Removed));
        assert_eq!(listed(&store), ["lp"]);
        let again = deferred("lx", DeferReason::Held);
        let store = place.after([won("lp", 100), linked(), taken_back, again]);
        assert_eq!(find(&store, "lp").unwrap().status, TransactionStatus::Removed);
        assert_eq!(find(&store, "lx").unwrap().status, TransactionStatus::Held);
    });
}

#[test]
fn held_lines_are_found_whoevers_they_are_in_pages_from_old_to_new() {
    on_both(|place| {
        let log = TestLog::with_campaign();
        for n in 0..5 {
            let (account, id) = (if n % 2 == 0 { "a" } else { "b" }, format!("t{n}"));
            log.account(account, [removed(&id), deferred(&id, DeferReason::Held), lost(&format!("u{n}"))]);
        }
        log.account("b", [reviewed("t1", Verdict::Released), removed("t3")]);
        let store = place.store();
        store.follow(&Arc::new(log), 100).unwrap();
        let page = |after| store.query(|conn| held(conn, after, 2));
        let first = page(None);
        assert!(first.has_more);
        let second = page(first.rows.last().map(|row| row.position));
        let ids: Vec<_> =
            first.rows.iter().chain(&second.rows).map(|row| row.transaction_id.as_str()).collect();
        assert_eq!((ids, second.has_more), (vec!["t0", "t2", "t4"], false));
    });
}
