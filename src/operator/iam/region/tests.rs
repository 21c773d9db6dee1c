//! Regions as operators reach them, against fake nodes on Unix sockets.

use std::path::Path;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::Path as UrlPath;
use axum::http::{StatusCode, Uri};
use axum::routing::get;
use claviger_shapes::admin::AdminError;
use claviger_shapes::admin::iam::{
    Account, AccountsPage, ApplyIdentities, ApplyIdentitiesResult, DenialsPage, IdentitiesPage, Identity, IdentityChange, IdentityKind,
    IdentityName, NamedIdentity, User,
};
use claviger_tls::{AcceptLimits, bind_unix, serve_plain};
use serde::Serialize;
use tokio::sync::watch;

use super::*;

/// What a fake region holds: one account, and whether anybody moves it between two looks.
#[derive(Default)]
struct Fake {
    revision: Option<u64>,
    identities: Identities,
    moves: u64,
    refuses: bool,
}

type Shared = Arc<Mutex<Fake>>;
type Answer = (StatusCode, String);

fn account() -> AccountId {
    "111122223333".parse().unwrap()
}

fn user(name: &str) -> (IdentityName, Identity) {
    (IdentityName::new(IdentityKind::User, name), Identity::User(User::default()))
}

fn json(value: &impl Serialize) -> Answer {
    (StatusCode::OK, serde_json::to_string(value).unwrap())
}

fn refuse(code: AdminErrorCode, message: &str) -> Answer {
    let body = serde_json::to_string(&AdminError::new(code, message)).unwrap();
    (StatusCode::from_u16(code.http_status()).unwrap(), body)
}

/// Two identities a page.
fn page(fake: &mut Fake, uri: &Uri) -> Answer {
    let after: Option<IdentityName> = uri.query().map(|query| query.strip_prefix("after=").unwrap().parse().unwrap());
    if after.is_some() && fake.moves > 0 {
        fake.moves -= 1;
        fake.revision = fake.revision.map(|revision| revision + 1);
    }
    let rest: Vec<_> = fake.identities.iter().filter(|(name, _)| after.as_ref().is_none_or(|after| *name > after)).collect();
    let next = if rest.len() > 2 { Some(rest[1].0.clone()) } else { None };
    let named = |(name, identity): &(&IdentityName, &Identity)| NamedIdentity { name: name.name.clone(), identity: (*identity).clone() };
    json(&IdentitiesPage { revision: fake.revision, identities: rest.iter().take(2).map(named).collect(), next })
}

fn change(fake: &mut Fake, apply: ApplyIdentities) -> Answer {
    if fake.refuses {
        return refuse(AdminErrorCode::Invalid, "user/a: no");
    }
    if apply.expected_revision != fake.revision {
        return refuse(AdminErrorCode::Conflict, "changed");
    }
    for change in apply.changes {
        match change {
            IdentityChange::Put(named) => {
                fake.identities.insert(IdentityName::new(named.identity.kind(), named.name), named.identity);
            }
            IdentityChange::Delete(name) => drop(fake.identities.remove(&name)),
            IdentityChange::DeleteAccount => unreachable!("no test deletes an account"),
        }
    }
    fake.revision = Some(fake.revision.unwrap_or_default() + 1);
    json(&ApplyIdentitiesResult { revision: fake.revision, changed: true })
}

fn router(region: &str, shared: &Shared) -> Router {
    let status = STATUS.replace("REGION", region);
    let (listed, shown, changed) = (Arc::clone(shared), Arc::clone(shared), Arc::clone(shared));
    Router::new()
        .route("/admin/v1/status", get(async move || status))
        .route(
            "/admin/v1/iam",
            get(async move || {
                let fake = listed.lock().unwrap();
                let held = |revision| Account { account: account(), revision, identities: fake.identities.len() as u64 };
                json(&AccountsPage { accounts: fake.revision.map(held).into_iter().collect(), next: None })
            }),
        )
        .route(
            "/admin/v1/iam/denials",
            get(async || {
                let principal = "arn:aws:iam::111122223333:user/bob".to_owned();
                let denial = Denial { principal, denied_at_millis: 1, reason: "lost".to_owned(), by: "ops".to_owned() };
                json(&DenialsPage { denials: vec![denial], next: None })
            })
            .post(async |body: bytes::Bytes| {
                let SetDenial { principal, denied, .. } = serde_json::from_slice(&body).unwrap();
                json(&SetDenialResult { principal, denied, changed: true, known: true })
            }),
        )
        .route(
            "/admin/v1/iam/{account}",
            get(async move |UrlPath(_): UrlPath<String>, uri: Uri| page(&mut shown.lock().unwrap(), &uri))
                .post(async move |body: bytes::Bytes| change(&mut changed.lock().unwrap(), serde_json::from_slice(&body).unwrap())),
        )
}

const STATUS: &str = r#"{"region":"REGION","ready":true,"node":1,"state":"serving","role":"leader","leader":1,"term":1,"last_log":1,
    "committed":1,"applied":1,"snapshot":null,"purged":null,"disk":null,"uptime_seconds":1,"version":"0","voters":[],"learners":[],
    "removed":[],"peers":[]}"#;

fn start(socket: &Path, router: Router, stop: &watch::Receiver<bool>) -> ApiClient {
    let local = claviger_types::Identity::Operator { name: "local".to_owned() };
    tokio::spawn(serve_plain(bind_unix(socket).unwrap(), "admin", Some(local), AcceptLimits::default(), router, stop.clone()));
    ApiClient::unix(socket)
}

fn file(dir: &Path, users: &[&str]) -> IamFile {
    let users: String = users.iter().map(|name| format!("[[account.user]]\nname = \"{name}\"\n")).collect();
    let path = dir.join("iam.toml");
    std::fs::write(&path, format!("[[account]]\nid = \"111122223333\"\n{users}")).unwrap();
    IamFile::load(&path).unwrap()
}

#[tokio::test]
async fn nodes_are_sorted_by_the_region_that_they_say() {
    let dir = tempfile::tempdir().unwrap();
    let (_shutdown, stop) = watch::channel(false);
    let shared = Shared::default();
    let node = |name: &str, region: &str| start(&dir.path().join(name), router(region, &shared), &stop);
    let silent = || ApiClient::unix(&dir.path().join("nobody"));
    let named = |region: &str| Some(region.parse::<RegionName>().unwrap());
    let all = vec![
        (None, node("a", "eu-west-1")),
        (named("eu-west-1"), silent()),
        (named("eu-west-1"), node("b", "eu-west-1")),
        (named("us-east-1"), node("c", "us-east-1")),
        (named("us-east-1"), node("d", "ap-south-1")),
        (named("ca-central-1"), silent()),
        (None, silent()),
    ];
    let (found, unknown) = regions(all).await;
    let found: Vec<(&str, usize)> = found.iter().map(|region| (region.name().as_str(), region.nodes.len())).collect();
    assert_eq!(found, [("ca-central-1", 1), ("eu-west-1", 3), ("us-east-1", 1)]);
    assert!(matches!(&unknown[..], [AdminClientError::OtherRegion { .. }, AdminClientError::Call(_)]), "{unknown:?}");
}

#[tokio::test]
async fn a_plan_is_carried_out_and_then_there_is_nothing_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let (_shutdown, stop) = watch::channel(false);
    let shared = Shared::default();
    let node = start(&dir.path().join("a"), router("eu-west-1", &shared), &stop);
    // The first node is down; the second answers.
    let region = Region { name: "eu-west-1".parse().unwrap(), nodes: vec![ApiClient::unix(&dir.path().join("nobody")), node] };

    let wanted = file(dir.path(), &["a", "b", "c", "d", "e"]);
    let plans = region.plans(&wanted, false).await.unwrap();
    assert!(plans[0].creates_account && plans[0].len() == 6);
    region.apply(&plans[0]).await.unwrap();
    assert!(region.plans(&wanted, true).await.unwrap().is_empty());
    // Five identities are three pages, and are read again when they change between two of them.
    shared.lock().unwrap().moves = 2;
    let held = region.held(None).await.unwrap();
    assert_eq!((held.accounts[&account()].identities.len(), held.accounts[&account()].revision), (5, Some(3)));
    assert_eq!(held.denials.len(), 1);
    assert_eq!(region.held(Some("444455556666".parse().unwrap())).await.unwrap(), Held::default());
    let request = SetDenial { principal: "111122223333".to_owned(), denied: true, reason: "lost".to_owned() };
    assert!(region.set_denial(&request).await.unwrap().denied);
    shared.lock().unwrap().moves = u64::MAX;
    assert!(matches!(region.held(None).await, Err(AdminClientError::Pages { .. })));
}

#[tokio::test]
async fn what_somebody_else_has_changed_meanwhile_is_not_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    let (_shutdown, stop) = watch::channel(false);
    let shared = Arc::new(Mutex::new(Fake { revision: Some(1), ..Fake::default() }));
    let node = start(&dir.path().join("a"), router("eu-west-1", &shared), &stop);
    let region = Region { name: "eu-west-1".parse().unwrap(), nodes: vec![node] };
    let plans = region.plans(&file(dir.path(), &["a"]), false).await.unwrap();
    *shared.lock().unwrap() = Fake { revision: Some(2), identities: [user("z")].into(), ..Fake::default() };
    let failed = region.apply(&plans[0]).await.unwrap_err();
    assert_eq!(failed.done, 0);
    assert!(matches!(&failed.error, AdminClientError::Refused { error, .. } if error.code == AdminErrorCode::Conflict));
    assert!(shared.lock().unwrap().identities.contains_key(&user("z").0));
}

/// The node that did it was not heard; the next says that the account is another than was expected.
#[tokio::test]
async fn what_was_done_and_not_heard_is_done() {
    let dir = tempfile::tempdir().unwrap();
    let (_shutdown, stop) = watch::channel(false);
    let shared = Shared::default();
    let node = start(&dir.path().join("a"), router("eu-west-1", &shared), &stop);
    let region = Region { name: "eu-west-1".parse().unwrap(), nodes: vec![node] };
    let plans = region.plans(&file(dir.path(), &["a"]), false).await.unwrap();
    *shared.lock().unwrap() = Fake { revision: Some(2), identities: [user("a"), user("z")].into(), ..Fake::default() };
    region.apply(&plans[0]).await.unwrap();
    assert!(shared.lock().unwrap().identities.contains_key(&user("z").0));
}

#[tokio::test]
async fn a_refusal_is_told_with_the_line_of_its_identity() {
    let dir = tempfile::tempdir().unwrap();
    let (_shutdown, stop) = watch::channel(false);
    let shared = Shared::default();
    let node = start(&dir.path().join("a"), router("eu-west-1", &shared), &stop);
    let region = Region { name: "eu-west-1".parse().unwrap(), nodes: vec![node] };
    shared.lock().unwrap().refuses = true;
    let wanted = file(dir.path(), &["a"]);
    let plans = region.plans(&wanted, false).await.unwrap();
    let failed = region.apply(&plans[0]).await.unwrap_err();
    let told = wanted.locate(account(), &failed.error.to_string());
    assert!(failed.done == 0 && told.contains("iam.toml:4: ") && told.ends_with("user/a: no"), "{told}");
}
