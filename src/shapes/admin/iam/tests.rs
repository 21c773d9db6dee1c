//! What both sides of the admin API agree on about identities.

use super::*;

#[test]
fn an_identity_is_named_by_kind_and_name() {
    for text in ["policy/kms.use", "group/staff", "role/app_1", "user/alice@example.com", "user/a+b=c,d"] {
        assert_eq!(text.parse::<IdentityName>().unwrap().to_string(), text);
    }
    let long = |kind: &str, length| format!("{kind}/{}", "n".repeat(length)).parse::<IdentityName>();
    assert!(long("user", 64).is_ok() && long("user", 65).is_err() && long("policy", 128).is_ok() && long("policy", 129).is_err());
    for bad in ["", "alice", "user/", "user/a/b", "user/a b", "User/a", "users/a", "/a", "user/ä", "user/a\0"] {
        assert!(bad.parse::<IdentityName>().is_err(), "{bad}");
    }
}

#[test]
fn a_change_reads_back_and_takes_no_unknown_members() {
    let user = User { groups: ["staff".to_owned()].into(), boundary: Some("bound".to_owned()), ..User::default() };
    let change = IdentityChange::Put(NamedIdentity { name: "alice".to_owned(), identity: Identity::User(user) });
    let delete = IdentityChange::Delete(IdentityName::new(IdentityKind::Policy, "old"));
    let apply = ApplyIdentities { expected_revision: Some(7), changes: vec![change, delete, IdentityChange::DeleteAccount] };
    let json = serde_json::to_string(&apply).unwrap();
    assert!(json.contains(r#"{"put":{"name":"alice","identity":{"user":{"tags":{},"#), "{json}");
    assert!(json.contains(r#"{"delete":"policy/old"},"delete_account""#), "{json}");
    assert_eq!(serde_json::from_str::<ApplyIdentities>(&json).unwrap(), apply);
    for bad in [
        json.replace("boundary", "boundry"),
        json.replace(r#""name":"alice""#, r#""name":"alice","more":1"#),
        json.replace("policy/old", "policy/"),
        json.replace(r#""user""#, r#""robot""#),
    ] {
        assert!(serde_json::from_str::<ApplyIdentities>(&bad).is_err(), "{bad}");
    }
}

#[test]
fn accounts_keep_their_zeros() {
    let account = "000011112222".parse().unwrap();
    let page = AccountsPage { accounts: vec![Account { account, revision: 1, identities: 2 }], next: Some(account) };
    let json = serde_json::to_string(&page).unwrap();
    assert_eq!(json, r#"{"accounts":[{"account":"000011112222","revision":1,"identities":2}],"next":"000011112222"}"#);
    assert_eq!(serde_json::from_str::<AccountsPage>(&json).unwrap(), page);
    assert!(serde_json::from_str::<AccountsPage>(&json.replace(r#""next":"0000"#, r#""next":"0"#)).is_err());
}

#[test]
fn an_identity_tells_what_it_names_and_its_documents() {
    let user = Identity::User(User {
        groups: ["staff".to_owned()].into(),
        attached: ["use".to_owned()].into(),
        boundary: Some("bound".to_owned()),
        inline: [("own".to_owned(), "{}".to_owned())].into(),
        ..User::default()
    });
    let names: Vec<String> = user.names().map(|name| name.to_string()).collect();
    assert_eq!(names, ["policy/use", "policy/bound", "group/staff"]);
    assert_eq!(user.documents().collect::<Vec<_>>(), [(Some("own"), "{}")]);
    let policy = Identity::Policy(ManagedPolicy { document: "[]".to_owned() });
    assert_eq!(policy.documents().collect::<Vec<_>>(), [(None, "[]")]);
    assert_eq!((policy.kind(), policy.names().count()), (IdentityKind::Policy, 0));
}
