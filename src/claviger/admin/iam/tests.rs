//! What operators are shown is what they have put, page by page; what is no policy is refused by name.

use std::collections::BTreeSet;

use claviger_shapes::admin::iam::{Group, Identity, IdentityKind as Kind, ManagedPolicy, Role, User};
use claviger_state::{Command, FoundRegion, MemoryTables, Overlay, RegionKeysRecord, RegionPublicKeys, apply};
use claviger_types::limits::{DENIALS_PAGE_MAX, IDENTITIES_PAGE_MAX};
use claviger_types::{ClusterId, Incarnation, Sealed, Timestamp};

use super::*;

const DENY: &str = r#"{"Version":"2012-10-17","Statement":{"Effect":"Deny","Action":"*","Resource":"*"}}"#;

/// A region's tables, and the index of its log.
struct Region {
    tables: MemoryTables,
    index: u64,
}

impl Region {
    fn founded() -> Self {
        let public = RegionPublicKeys { version: 1, kem: vec![1], ed25519: vec![2], ml_dsa_65: vec![3] };
        let found = FoundRegion {
            region: "eu-west-1".parse().unwrap(),
            partition: Partition::default(),
            trust_domain: "kms.example".parse().unwrap(),
            cluster_id: ClusterId::from_bytes([0; 16]),
            incarnation: Incarnation::from_bytes([0; 16]),
            keyring: Sealed::from_bytes(vec![9]),
            region_keys: RegionKeysRecord { public, private: Sealed::from_bytes(vec![8]) },
        };
        let mut region = Self { tables: MemoryTables::default(), index: 0 };
        region.apply(CommandBody::FoundRegion(Box::new(found))).unwrap();
        region
    }

    fn apply(&mut self, body: CommandBody) -> Result<Response, Refusal> {
        self.index += 1;
        let mut overlay = Overlay::new(&self.tables);
        let applied = apply(&mut overlay, self.index, &Command { time: Timestamp::from_millis(self.index), body }).unwrap();
        let writes = overlay.into_writes();
        self.tables.commit(writes);
        applied.outcome
    }

    fn put(&mut self, identities: Vec<(&str, Identity)>) {
        let expected_revision = read::account(&self.tables, account()).unwrap().map(|record| record.revision);
        let change =
            |(name, identity): (&str, Identity)| records::change(IdentityChange::Put(NamedIdentity { name: name.to_owned(), identity }));
        let changes = identities.into_iter().map(change).collect();
        let command = claviger_state::ApplyIdentities { account: account(), expected_revision, changes };
        self.apply(CommandBody::ApplyIdentities(Box::new(command))).unwrap();
    }

    fn deny(&mut self, name: &str) {
        let principal = NamedPrincipal::User { account: account(), name: name.to_owned() };
        let command = SetPrincipalDenied { principal, denied: true, reason: "lost".to_owned(), by: "ops".to_owned() };
        self.apply(CommandBody::SetPrincipalDenied(Box::new(command))).unwrap();
    }

    /// All identities, as an operator's command reads them, and how many pages they were.
    fn all(&self) -> (Vec<NamedIdentity>, usize) {
        let (mut found, mut after, mut count) = (Vec::new(), None, 0);
        loop {
            let page = pages::identities(&self.tables, account(), after.as_ref()).unwrap().unwrap();
            assert_eq!(page.revision, read::account(&self.tables, account()).unwrap().map(|record| record.revision));
            count += 1;
            found.extend(page.identities);
            after = page.next;
            if after.is_none() {
                return (found, count);
            }
        }
    }
}

fn account() -> AccountId {
    "111122223333".parse().unwrap()
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn what_was_put_is_shown() {
    let policy = Identity::Policy(ManagedPolicy { document: DENY.to_owned() });
    let inline = || [("own".to_owned(), DENY.to_owned())].into();
    let group = Identity::Group(Group { inline: inline(), attached: set(&["p"]) });
    let tags = || [("team".to_owned(), "red".to_owned())].into();
    let boundary = Some("p".to_owned());
    let role = Identity::Role(Role { tags: tags(), inline: inline(), attached: set(&["p"]), boundary: boundary.clone() });
    let user = Identity::User(User { tags: tags(), groups: set(&["g"]), inline: inline(), attached: set(&[]), boundary });
    let put = vec![("p", policy), ("g", group), ("r", role), ("u", user)];
    let mut region = Region::founded();
    region.put(put.clone());
    let (found, pages) = region.all();
    assert_eq!((found.len(), pages), (4, 1));
    for (name, identity) in put {
        assert!(found.contains(&NamedIdentity { name: name.to_owned(), identity }), "{name}");
    }
    let listed = pages::accounts(&region.tables, None).unwrap();
    assert_eq!((listed.accounts.len(), listed.accounts[0].identities, listed.next), (1, 4, None));
    let unknown = pages::identities(&region.tables, "444455556666".parse().unwrap(), None).unwrap().unwrap();
    assert_eq!((unknown.revision, unknown.identities.len()), (None, 0));
}

#[test]
fn pages_are_bounded_in_number_and_size_and_leave_nothing_out() {
    let mut region = Region::founded();
    let names: Vec<String> = (0..IDENTITIES_PAGE_MAX + 1).map(|index| format!("u{index:04}")).collect();
    for names in names.chunks(100) {
        region.put(names.iter().map(|name| (name.as_str(), Identity::User(User::default()))).collect());
    }
    let (found, pages) = region.all();
    assert_eq!((found.len(), pages), (names.len(), 2));
    // Some 10 KiB each: a page of 1 MiB has a hundred.
    let large = Identity::Policy(ManagedPolicy { document: "x".repeat(10_000) });
    let policies: Vec<String> = (0..150).map(|index| format!("p{index:03}")).collect();
    region.put(policies.iter().map(|name| (name.as_str(), large.clone())).collect());
    let (found, pages) = region.all();
    let distinct: BTreeSet<(Kind, &str)> = found.iter().map(|named| (named.identity.kind(), named.name.as_str())).collect();
    assert_eq!((found.len(), distinct.len()), (names.len() + 150, names.len() + 150));
    assert!(pages > 2, "{pages}");
}

#[test]
fn denials_are_shown_and_whether_the_principal_is_known() {
    let mut region = Region::founded();
    region.put(vec![("bob", Identity::User(User::default())), ("app", Identity::Role(Role::default()))]);
    region.deny("bob");
    let page = pages::denials(&region.tables, None, &Partition::default()).unwrap();
    let found = (page.denials[0].principal.as_str(), page.denials[0].reason.as_str(), page.denials[0].by.as_str());
    assert_eq!(found, ("arn:aws:iam::111122223333:user/bob", "lost", "ops"));
    let known = |arn: &str| is_known(&region.tables, &NamedPrincipal::parse(arn, &Partition::default()).unwrap()).unwrap();
    for arn in [
        "111122223333",
        "arn:aws:iam::111122223333:user/bob",
        "arn:aws:iam::111122223333:role/app",
        "arn:aws:sts::111122223333:assumed-role/app/one",
    ] {
        assert!(known(arn), "{arn}");
    }
    for arn in ["444455556666", "arn:aws:iam::111122223333:user/app", "arn:aws:sts::111122223333:assumed-role/bob/one"] {
        assert!(!known(arn), "{arn}");
    }
    for index in 0..DENIALS_PAGE_MAX {
        region.deny(&format!("u{index}"));
    }
    let first = pages::denials(&region.tables, None, &Partition::default()).unwrap();
    let after = NamedPrincipal::parse(&first.next.unwrap(), &Partition::default()).unwrap();
    let second = pages::denials(&region.tables, Some(&after), &Partition::default()).unwrap();
    assert_eq!((first.denials.len(), second.denials.len(), second.next), (DENIALS_PAGE_MAX, 1, None));
}

#[test]
fn what_is_no_policy_is_refused_by_the_identity_that_has_it() {
    let refused = |name: &str, identity| {
        let change = IdentityChange::Put(NamedIdentity { name: name.to_owned(), identity });
        check_documents(&change, &Partition::default()).map_err(|error| (error.code, error.message))
    };
    let policy = |document: &str| Identity::Policy(ManagedPolicy { document: document.to_owned() });
    assert_eq!(refused("p", policy(DENY)), Ok(()));
    let (code, message) = refused("p", policy("{}")).unwrap_err();
    assert!(code == AdminErrorCode::Invalid && message.starts_with("policy/p: "), "{message}");
    let group = Identity::Group(Group { inline: [("own".to_owned(), DENY.replace("Deny", "Maybe"))].into(), ..Group::default() });
    let (_, message) = refused("g", group).unwrap_err();
    assert!(message.starts_with("group/g: its policy \"own\": statement 0"), "{message}");
}
