//! Terms and who may put them in force.

use super::*;

fn tea() -> Terms {
    Terms { name: "Tea".into(), ..terms() }
}

fn field(field: &str, message: &str) -> CampaignRejection {
    crate::campaign::terms::TermsError { field: field.into(), message: message.into() }.into()
}

#[test]
fn times_that_cannot_be_meant_are_refused() {
    let beyond = at("2100-01-01T00:00:00Z");
    let refused = |name| field(name, "must lie in the years 2000 to 2099");
    nothing().when(draft(Terms { ends_at: Some(beyond), ..terms() })).then_rejects(refused("ends_at"));
    let last = Some(beyond.plus_micros(-1));
    nothing().when(draft(Terms { ends_at: last, ..terms() })).then_answers(CampaignAnswer::Done);
    let before = at("1999-12-31T23:59:59Z");
    nothing().when(draft(Terms { starts_at: before, ..terms() })).then_rejects(refused("starts_at"));
    let schedule = CampaignCommandKind::Schedule { start_at: beyond };
    approved().when(schedule).then_rejects(refused("start_at"));
}

/// A change to terms, and the field that is named.
type Case = (fn(&mut Terms), &'static str);

#[test]
fn texts_for_ever_hold_no_card_number_and_nothing_that_does_not_show() {
    let cases: [Case; 3] = [
        (|terms| terms.campaign_id = "a-4111111111111111".parse().unwrap(), "campaign_id"),
        (|terms| terms.name = "Card 4111-1111-1111-1111".into(), "name"),
        (|terms| terms.prize_table.tiers[0].name = "4111111111111111".into(), "prize_table.tiers[0].name"),
    ];
    for (change, name) in cases {
        let mut terms = terms();
        change(&mut terms);
        let refused = field(name, "must not hold a card number");
        nothing().when(draft(terms.clone())).then_rejects(refused.clone());
        let id = terms.campaign_id.clone();
        if id == self::terms().campaign_id {
            drafted().when(revise(terms)).then_rejects(refused);
        }
    }
    let hidden: [Case; 3] = [
        (|terms| terms.campaign_id = "autumn\u{fe0f}".parse().unwrap(), "campaign_id"),
        (|terms| terms.name = "Autu\u{34f}mn".into(), "name"),
        (|terms| terms.prize_table.tiers[0].name = "\u{3164}fiver".into(), "prize_table.tiers[0].name"),
    ];
    for (change, name) in hidden {
        let mut terms = terms();
        change(&mut terms);
        let refused = terms.validate().unwrap_err();
        assert_eq!(refused.field, name);
        let said = ["printable characters", "which does not show"];
        assert!(said.iter().any(|said| refused.message.contains(said)), "{refused}");
    }
}

#[test]
fn a_log_of_earlier_releases_is_read_whatever_its_texts_hold() {
    let mut old = terms();
    old.campaign_id = "autumn\u{fe0f}".parse().unwrap();
    old.name = "4111111111111111".into();
    old.prize_table.tiers[0].name = "4111111111111111".into();
    let drafted = CampaignEvent::CampaignDrafted { version: 1, terms: old.clone(), by: "alice".into() };
    let read: CampaignEvent = serde_json::from_value(serde_json::to_value(&drafted).unwrap()).unwrap();
    assert_eq!(read, drafted);
    let running = Given::<Campaign>::events(at(NOW), [read]).by("bob").and(approve());
    // What was drafted is known; the same again is no new text.
    running.clone().when(draft(old)).then_only_answers(CampaignAnswer::Unchanged);
    running.and(CampaignCommandKind::Start).when(schedule()).then_answers(CampaignAnswer::Done);
}

fn in_force(given: &Given<Campaign>) -> (u32, String) {
    let (terms, version) = given.state.terms().unwrap();
    (version, terms.name.clone())
}

#[test]
fn nobody_approves_his_own_terms() {
    let author = |version| CampaignRejection::AuthorCannotApprove { version, author: "alice".into() };
    drafted().when(approve()).then_rejects(author(1));
    let approved = CampaignEvent::CampaignApproved { version: 1, by: "bob".into() };
    drafted().by("bob").when(approve()).then([approved]);
    // Whoever revises is the author of what is approved.
    let revised = drafted().by("bob").and(revise(tea()));
    revised.clone().by("alice").when(approve()).then_answers(CampaignAnswer::Done);
    let author = CampaignRejection::AuthorCannotApprove { version: 2, author: "bob".into() };
    revised.when(approve()).then_rejects(author);
}

#[test]
fn only_the_latest_version_is_approved() {
    let stale = CampaignCommandKind::Approve { version: Some(1) };
    let not_the_latest = CampaignRejection::NotTheLatest { asked: 1, latest: 2 };
    drafted().and(revise(tea())).by("bob").when(stale).then_rejects(not_the_latest);
    let latest = CampaignCommandKind::Approve { version: Some(2) };
    drafted().and(revise(tea())).by("bob").when(latest).then_answers(CampaignAnswer::Done);
}

#[test]
fn a_revision_of_a_running_campaign_waits_for_its_approval() {
    let revised = started().and(revise(tea()));
    assert_eq!(in_force(&revised), (1, "Autumn".into()));
    let approved = revised.clone().by("bob").and(approve());
    assert_eq!(in_force(&approved), (2, "Tea".into()));
    approved.by("alice").when(revise(tea())).then_only_answers(CampaignAnswer::Unchanged);
    // Revised again before that, the last one is approved.
    let again = revised.and(revise(Terms { name: "Cocoa".into(), ..terms() })).by("bob").and(approve());
    assert_eq!(in_force(&again), (3, "Cocoa".into()));
}

#[test]
fn what_a_running_campaign_has_promised_stays() {
    let fixed = |name: &str| field(name, "cannot be revised once the campaign has started");
    let cases = [
        (Terms { starts_at: at("2026-11-01T00:00:00Z"), ..terms() }, fixed("starts_at")),
        (Terms { time_zone: Zone::named("UTC"), ..terms() }, fixed("time_zone")),
        (Terms { eligible_from: EligibleFrom::CampaignStart, ..terms() }, fixed("eligible_from")),
        (
            Terms { budget: gbp(200_000), ..terms() },
            field("budget", "cannot be revised once the campaign has started; fund it instead"),
        ),
        (
            Terms { ends_at: Some(at(NOW)), ..terms() },
            field("ends_at", "must be in the future; to stop now, end the campaign"),
        ),
        (
            Terms { campaign_id: "other".parse().unwrap(), ..terms() },
            field("campaign_id", "cannot be revised"),
        ),
    ];
    for (terms, rejection) in cases {
        started().when(revise(terms)).then_rejects(rejection);
    }
    let before = Terms { budget: gbp(200_000), ..terms() };
    let revised = approved().when(revise(before)).then_answers(CampaignAnswer::Done).accepted();
    // Written before the start and approved after it, it is too late.
    let fund_it = "cannot be revised once the campaign has started; fund it instead";
    let started = revised.clone().and(CampaignCommandKind::Start);
    started.by("bob").when(approve()).then_rejects(field("budget", fund_it));
    revised.by("bob").when(approve()).then_answers(CampaignAnswer::Done);
}

#[test]
fn a_new_prize_table_counts_from_the_next_epoch_that_is_scheduled() {
    let mut dearer = terms();
    dearer.prize_table.tiers[0].odds_ppb = 2_000_000;
    let revised = scheduled().and(revise(dearer.clone())).by("bob").and(approve());
    let later = revised.and(schedule_of(epoch().next()));
    let table = |epoch| later.state.epoch(epoch).unwrap().table_hash;
    assert_eq!(table(epoch()), terms().prize_table.hash());
    assert_eq!(table(epoch().next()), dearer.prize_table.hash());
}

#[test]
fn it_can_be_told_when_to_start() {
    let start_at = at("2026-11-25T00:00:00Z");
    let on_day = || CampaignCommandKind::Schedule { start_at };
    drafted().when(on_day()).then_rejects(CampaignRejection::NotApproved);
    started().when(on_day()).then_rejects(CampaignRejection::Started);
    let past = CampaignCommandKind::Schedule { start_at: at(NOW) };
    approved().when(past).then_rejects(field("start_at", "must be in the future"));
    let waiting = approved().and(on_day());
    assert_eq!(waiting.state.starts_itself_at(), Some(start_at));
    waiting.clone().when(on_day()).then_only_answers(CampaignAnswer::Unchanged);
    assert_eq!(waiting.clone().and(CampaignCommandKind::Start).state.starts_itself_at(), None);
    assert_eq!(waiting.and(CampaignCommandKind::End).state.starts_itself_at(), None);
}

#[test]
fn a_campaigns_name_for_ever_can_be_typed_and_stand_in_an_address() {
    let named = |id: &str| Terms { campaign_id: id.parse().unwrap(), ..terms() };
    for good in ["a", "7", "autumn-2026", "Autumn_2026.uk", &"a".repeat(128)] {
        nothing().when(draft(named(good))).then_answers(CampaignAnswer::Done);
    }
    for bad in ["Autumn 2026!", "autumn/2026", "-a", ".a", "herbst\u{e4}", "a%20b", "a?b", "a#b", "a:b"] {
        let plain = "must be letters a to z, digits and . _ - only, such as autumn-2026; people read `name`";
        nothing().when(draft(named(bad))).then_rejects(field("campaign_id", plain));
        // One of earlier releases goes on.
        let drafted = CampaignEvent::CampaignDrafted { version: 1, terms: named(bad), by: "alice".into() };
        let revised = Terms { name: "Tea".into(), ..named(bad) };
        let old = Given::<Campaign>::events(at(NOW), [drafted]).and(revise(revised)).by("bob");
        old.when(approve()).then_answers(CampaignAnswer::Done);
    }
}

#[test]
fn a_window_that_is_over_is_neither_drafted_nor_revised_nor_approved() {
    let day = at("2026-11-23T00:00:00Z");
    let short = || Terms { ends_at: Some(day), ..terms() };
    let over = || field("ends_at", "must be in the future: nothing could take part");
    nothing().at(day).when(draft(short())).then_rejects(over());
    nothing().at(at("2026-11-22T23:59:59Z")).when(draft(short())).then_answers(CampaignAnswer::Done);
    drafted().at(day).when(revise(short())).then_rejects(over());
    nothing().and(draft(short())).by("bob").at(day).when(approve()).then_rejects(over());
}

#[test]
fn a_campaign_whose_window_is_over_does_not_start() {
    let ends_at = Some(at("2026-11-23T00:00:00Z"));
    let short = nothing().and(draft(Terms { ends_at, ..terms() })).by("bob").and(approve());
    let over = || CampaignRejection::WindowOver(at("2026-11-23T00:00:00Z"));
    let late = CampaignCommandKind::Schedule { start_at: at("2026-11-23T00:00:00Z") };
    short.clone().when(late).then_rejects(over());
    short.at(at("2026-11-23T00:00:00Z")).when(CampaignCommandKind::Start).then_rejects(over());
}
