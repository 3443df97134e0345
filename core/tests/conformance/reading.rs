//! Reading the feed in part: whoever adds up what it was shown has what it may see, and who cannot go on is told so.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Value;
use voxea_core::base::actor::Actor;
use voxea_core::base::error::CoreError;
use voxea_core::base::time;
use voxea_core::feed::{self, Event, EventKind, Selection, ThemeFilter};
use voxea_core::request::{Filter, Patch, Status};
use voxea_core::store::{Reach, Store, Themes, Way};

use crate::place::{NOW, Place, agent, alone, sms_account};

const THEMES: [Option<&str>; 4] = [None, Some("voirie"), Some("proprete"), Some("aides")];

/// The same numbers in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % end
    }
}

fn filter(codes: &[&str], unthemed: bool) -> Option<ThemeFilter> {
    let codes = codes.iter().map(|&code| code.to_owned()).collect();
    Some(ThemeFilter { codes, unthemed })
}

fn all_but_aides() -> Reach {
    Reach::new(vec![Way {
        channels: None,
        themes: Themes::AllBut(vec!["aides".to_owned()]),
    }])
}

/// Selections of which nobody narrows what is heard of requests.
fn selections() -> Vec<Selection> {
    let requests = || Some(Selection::kinds_named("fr.voxea.request.*").unwrap());
    vec![
        Selection::everything(),
        Selection::within(all_but_aides()),
        Selection::everything().themes(filter(&["voirie"], false)),
        Selection::everything().themes(filter(&["voirie", "aides"], true)).kinds(requests()),
        Selection::within(all_but_aides())
            .themes(filter(&["aides", "proprete"], false))
            .kinds(requests()),
        Selection::within(all_but_aides()).kinds(Some(vec![EventKind::RequestCreated])),
        Selection::within(Reach::new(Vec::new())),
    ]
}

fn sees(selection: &Selection, theme: Option<&str>) -> bool {
    let event = Event {
        position: 1,
        id: String::new(),
        kind: "request.created".to_owned(),
        subject: String::new(),
        at: 0,
        data: "{}".to_owned(),
        channel: Some("sms".to_owned()),
        theme: theme.map(str::to_owned),
        theme_from: None,
    };
    selection.view(event).is_some()
}

async fn pages(place: &Place, selection: &Selection, limit: usize, latest: bool) -> Vec<Event> {
    let (mut after, mut all) = (0, Vec::new());
    loop {
        let page = if latest {
            place.feed.select_latest(selection, after, limit).await.unwrap()
        } else {
            place.feed.select(selection, after, limit).await.unwrap()
        };
        assert!(page.items.len() <= limit && page.next >= after);
        all.extend(page.items);
        after = page.next;
        if !page.has_more {
            return all;
        }
    }
}

/// What a reader holds who applies what it was shown.
fn held(events: &[Event]) -> BTreeSet<String> {
    let mut held = BTreeSet::new();
    for event in events.iter().filter(|event| event.kind.starts_with("request.")) {
        if event.is_tombstone() {
            held.remove(&event.subject);
        } else {
            held.insert(event.subject.clone());
        }
    }
    held
}

/// Eight agents change themes and states of twelve requests at once, some of which are eliminated.
async fn bustle(place: &Place) {
    place.intake.register(&sms_account()).await.unwrap();
    let mut ids = Vec::new();
    for number in 0..12 {
        let mut contact = alone(&format!("texte {number}"), NOW);
        contact.theme = THEMES[number % THEMES.len()].map(str::to_owned);
        ids.push(place.intake.accept(contact).await.unwrap().request_id);
    }
    let ids = Arc::new(ids);
    let agents = (0..8).map(|number| {
        let (desk, ids) = (place.desk.clone(), Arc::clone(&ids));
        tokio::spawn(async move {
            let mut dice = Dice(number);
            for _ in 0..15 {
                let id = &ids[dice.below(ids.len())];
                let row = desk.get(&agent(), id).await.unwrap();
                let status: Status = row.status.parse().unwrap();
                let moves = status.moves();
                let to = moves.get(dice.below(moves.len() + 1)).copied();
                let patch = Patch {
                    theme: (dice.below(3) > 0).then(|| THEMES[dice.below(THEMES.len())].map(str::to_owned)),
                    status: to.filter(|_| dice.below(3) == 0),
                    ..Patch::default()
                };
                match desk.patch(&agent(), id, row.version, &patch).await {
                    Ok(_) | Err(CoreError::Stale { .. }) => {}
                    Err(error) => panic!("{error}"),
                }
            }
        })
    });
    for agent in agents.collect::<Vec<_>>() {
        agent.await.unwrap();
    }
    // One at least goes for good.
    let id = &ids[0];
    loop {
        let row = place.desk.get(&agent(), id).await.unwrap();
        let status: Status = row.status.parse().unwrap();
        let Some(next) = towards_the_end(status) else { break };
        let patch = Patch {
            status: Some(next),
            ..Patch::default()
        };
        place.desk.patch(&agent(), id, row.version, &patch).await.unwrap();
    }
}

fn towards_the_end(status: Status) -> Option<Status> {
    if status == Status::Eliminated {
        return None;
    }
    [Status::Eliminated, Status::Archived, Status::Closed, Status::Open]
        .into_iter()
        .find(|next| *next != status && status.may_become(*next))
}

/// PostgreSQL compiles a statement that it takes for dear, in 50 ms, and whole tables are made dear to it.
pub(crate) async fn a_small_statement_is_not_compiled(place: &Place) {
    let Store::Postgres(pool) = &place.store else { return };
    let plan = "EXPLAIN (ANALYZE) SELECT f.epoch, c.value FROM feed f CROSS JOIN counter c";
    let lines: Vec<String> = sqlx::query_scalar(plan).fetch_all(pool).await.unwrap();
    assert!(lines.iter().any(|line| line.contains("Execution Time")), "{lines:?}");
    assert!(!lines.iter().any(|line| line.contains("JIT")), "{lines:?}");
}

pub(crate) async fn who_adds_up_what_it_is_shown_has_what_it_may_see(place: &Place) {
    bustle(place).await;
    let rows = place.desk.list(&agent(), Filter::default(), 500).await.unwrap().items;
    let whole = place.events().await;
    for selection in selections() {
        let shown = pages(place, &selection, 11, false).await;
        // What the database leaves out is what the rule does.
        let ruled: Vec<Event> = place.feed.stored(0, 100_000).await.unwrap().items;
        let ruled: Vec<Event> = ruled.into_iter().filter_map(|event| selection.view(event)).collect();
        assert_eq!(shown, ruled, "{selection:?}");
        let expected: BTreeSet<String> = rows
            .iter()
            .filter(|row| row.status != "eliminated" && sees(&selection, row.theme.as_deref()))
            .map(|row| row.id.clone())
            .collect();
        assert_eq!(held(&shown), expected, "{selection:?}");
        assert_eq!(held(&pages(place, &selection, 11, true).await), expected, "{selection:?}");
        // Shown under another type or not: its place and its id are everybody's.
        for event in &shown {
            let same = whole.iter().find(|one| one.position == event.position).unwrap();
            assert_eq!((&same.id, &same.subject, same.at), (&event.id, &event.subject, event.at));
        }
    }
    let left = whole.iter().filter(|event| event.theme_from.is_some()).count();
    let gone = whole.iter().filter(|event| event.is_tombstone()).count();
    assert!(left > 10 && gone > 0, "{left} changes of theme, {gone} eliminations");
}

pub(crate) async fn an_event_says_the_theme_that_its_request_had_there(place: &Place) {
    bustle(place).await;
    let mut themes = std::collections::BTreeMap::new();
    for event in place.events().await.into_iter().filter(|event| event.channel.is_some()) {
        let data: Value = serde_json::from_str(&event.data).unwrap();
        let theme = data["theme"].as_str().map(str::to_owned);
        if event.kind == "request.created" {
            assert!(themes.insert(event.subject.clone(), theme).is_none());
            continue;
        }
        let before = themes.get_mut(&event.subject).unwrap();
        if let Some(told) = data.get("theme_before") {
            assert_eq!(told.as_str(), before.as_deref());
            *before = theme;
        } else {
            assert_eq!(*before, theme, "at {}", event.position);
        }
    }
    assert_eq!(themes.len(), 12);
}

pub(crate) async fn the_latest_hides_no_tombstone(place: &Place) {
    bustle(place).await;
    for selection in selections() {
        let (all, latest) = (
            pages(place, &selection, 500, false).await,
            pages(place, &selection, 500, true).await,
        );
        let is_last = |event: &Event| all.iter().rfind(|one| one.subject == event.subject).unwrap().position == event.position;
        let expected: Vec<Event> = all.iter().filter(|event| event.is_tombstone() || is_last(event)).cloned().collect();
        assert_eq!(latest, expected, "{selection:?}");
    }
}

pub(crate) async fn who_cannot_go_on_is_told_so(place: &Place) {
    place.intake.register(&sms_account()).await.unwrap();
    for number in 0..5 {
        place.intake.accept(alone(&format!("texte {number}"), NOW)).await.unwrap();
    }
    let (all, state) = (place.events().await, place.feed.state().await.unwrap());
    assert_eq!((state.floor, state.head), (0, all.last().unwrap().position));
    let selection = Selection::everything().themes(filter(&[], true));
    for selection in [&Selection::everything(), &selection] {
        let beyond = place.feed.select(selection, state.head + 1, 10).await;
        assert!(matches!(beyond, Err(CoreError::FeedAhead { .. })), "{beyond:?}");
        assert!(place.feed.select(selection, state.head, 10).await.unwrap().items.is_empty());
    }
    // The first four are of long ago.
    let old = all[3].position;
    place.change(&format!("UPDATE event SET at = 1000 WHERE position <= {old}")).await;
    assert!(!place.feed.forget(time::now() - 1000 * 3600).await.unwrap());
    let floor = place.feed.state().await.unwrap().floor;
    assert_eq!(floor, old);
    for selection in [&Selection::everything(), &selection] {
        let behind = place.feed.select(selection, floor - 1, 10).await;
        assert!(matches!(behind, Err(CoreError::FeedGone { .. })), "{behind:?}");
        let kept = place.feed.select(selection, floor, 100).await.unwrap().items;
        assert_eq!(
            kept.iter().map(|event| &event.id).collect::<Vec<_>>(),
            all[4..].iter().map(|event| &event.id).collect::<Vec<_>>()
        );
    }
    assert!(!place.feed.forget(time::now() - 1000 * 3600).await.unwrap());
    assert_eq!(place.feed.state().await.unwrap().floor, floor);
    let epoch = feed::new_epoch(&place.store, &Actor::System, time::now()).await.unwrap();
    assert_ne!(epoch, state.epoch);
    assert_eq!((epoch.len(), place.feed.state().await.unwrap().epoch), (8, epoch));
}
