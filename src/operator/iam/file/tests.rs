//! What an `iam.toml` means, and what is said when it does not mean anything.

use std::fs;

use super::*;

const GOOD: &str = r#"{"Version":"2012-10-17","Statement":{"Effect":"Deny","Action":"*","Resource":"*"}}"#;
const HEAD: &str = "[[account]]\nid = \"111122223333\"\n";

fn load(text: &str) -> Result<IamFile, String> {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("bad.json"), "{\n  \"Version\": \"2012-10-17\",\n  nonsense\n}\n").unwrap();
    fs::write(dir.path().join("good.json"), format!("\n{GOOD}\n")).unwrap();
    let path = dir.path().join("iam.toml");
    fs::write(&path, text).unwrap();
    IamFile::load(&path).map_err(|error| error.to_string().replace(&format!("{}/", dir.path().display()), ""))
}

fn account(digits: &str) -> AccountId {
    digits.parse().unwrap()
}

#[test]
fn the_example_means_what_it_says() {
    let file = load(include_str!("../../../../config/iam.toml")).unwrap();
    let wanted: Vec<(AccountId, usize)> = file.accounts().map(|(account, identities)| (account, identities.len())).collect();
    assert_eq!(wanted, [(account("111122223333"), 7), (account("444455556666"), 0)]);
    let identities = file.account(account("111122223333")).unwrap();
    let held = |name: &str| &identities[&name.parse::<IdentityName>().unwrap()];
    let alice = held("user/alice");
    assert_eq!(alice.tags().unwrap()["team"], "payments");
    assert!(alice.groups().unwrap().contains("staff") && alice.boundary().is_none());
    assert_eq!(held("user/admin").boundary().unwrap(), "never-delete");
    let (_, document) = held("policy/kms-use").documents().next().unwrap();
    assert!(document.starts_with('{') && document.ends_with('}'), "{document}");
    assert!(held("group/staff").inline().unwrap()["list"].contains("kms:ListKeys"));
    assert!(file.account(account("000000000000")).is_none());
    assert_eq!(load("").unwrap().accounts().count(), 0);
}

#[test]
fn a_document_may_stand_in_a_file_beside_it() {
    let file = load(&format!("{HEAD}[[account.policy]]\nname = \"p\"\nfile = \"good.json\"\n")).unwrap();
    let identities = file.account(account("111122223333")).unwrap();
    assert_eq!(identities.values().next().unwrap().documents().next(), Some((None, GOOD)));
}

#[test]
fn problems_name_file_and_line() {
    let policy = "[[account.policy]]\nname = \"p\"\n";
    let many = |count: usize| (0..count).map(|index| format!("\"g{index}\"")).collect::<Vec<_>>().join(", ");
    for (text, line, part) in [
        ("account = 1\n".to_owned(), "iam.toml:1: ", "sequence"),
        ("[[account]]\nid = \"1\"\n".to_owned(), "iam.toml:2: ", "12 digits"),
        (format!("{HEAD}robot = 1\n"), "iam.toml:3: ", "robot"),
        (format!("{HEAD}{HEAD}"), "iam.toml:4: ", "twice"),
        (format!("{HEAD}{policy}"), "iam.toml:4: ", "either a document or a file"),
        (format!("{HEAD}{policy}document = \"{{}}\"\nfile = \"good.json\"\n"), "iam.toml:4: ", "either"),
        (format!("{HEAD}{policy}document = \"{{\"\n"), "iam.toml:5: ", "not valid JSON"),
        (format!("{HEAD}{policy}document = '''\n{{\n\"a\": 1,\nb\n}}'''\n"), "iam.toml:8: ", "not valid JSON"),
        (format!("{HEAD}{policy}document = '''{{\n\"a\": 1,\nb\n}}'''\n"), "iam.toml:7: ", "not valid JSON"),
        (format!("{HEAD}{policy}document = '''\n\n{{\nb\n}}'''\n"), "iam.toml:8: ", "not valid JSON"),
        (format!("{HEAD}{policy}document = '{}'\n", GOOD.replace("Deny", "Maybe")), "iam.toml:5: ", "\"p\" is refused: statement 0"),
        (format!("{HEAD}{policy}document = '{{}}'\n"), "iam.toml:5: ", "Statement"),
        (format!("{HEAD}{policy}file = \"bad.json\"\n"), "bad.json:3: ", "policy \"p\""),
        (format!("{HEAD}{policy}file = \"none.json\"\n"), "none.json: ", "cannot be read"),
        (format!("{HEAD}{policy}document = '\"{}\"'\n", "x".repeat(10_240)), "iam.toml:5: ", "10240"),
        (format!("{HEAD}{policy}document = '{GOOD}'\n{policy}document = '{GOOD}'\n"), "iam.toml:7: ", "two of policy/p"),
        (format!("{HEAD}[[account.user]]\nname = \"a b\"\n"), "iam.toml:4: ", "no name of a user"),
        (format!("{HEAD}[[account.user]]\nname = \"a\"\nattach = [\n  \"p\"\n]\n"), "iam.toml:6: ", "no policy \"p\""),
        (format!("{HEAD}[[account.user]]\nname = \"a\"\nboundary = \"p\"\n"), "iam.toml:5: ", "no policy \"p\""),
        (format!("{HEAD}[[account.user]]\nname = \"a\"\ngroups = [\"g\"]\n"), "iam.toml:5: ", "no group \"g\""),
        (format!("{HEAD}[[account.user]]\nname = \"a\"\ngroups = [\"g\", \"g\"]\n"), "iam.toml:5: ", "twice"),
        (format!("{HEAD}[[account.user]]\nname = \"a\"\ngroups = [{}]\n", many(11)), "iam.toml:5: ", "at most 10"),
        (format!("{HEAD}[[account.role]]\nname = \"a\"\ngroups = []\n"), "iam.toml:5: ", "groups"),
        (format!("{HEAD}[[account.user]]\nname = \"a\"\ntags = {{ a = \"{}\" }}\n", "v".repeat(257)), "iam.toml:5: ", "256"),
        (
            format!("{HEAD}[[account.group]]\nname = \"a\"\n[[account.group.inline]]\nname = \"x\"\ndocument = \"[\"\n"),
            "iam.toml:7: ",
            "\"x\" is not valid JSON",
        ),
    ] {
        let error = load(&text).unwrap_err();
        assert!(error.starts_with(line) && error.contains(part), "{error}\nfor\n{text}");
    }
    let missing = IamFile::load(Path::new("no-such-file.toml")).unwrap_err().to_string();
    assert!(missing.starts_with("no-such-file.toml: cannot be read"), "{missing}");
}

#[test]
fn inline_policies_are_bounded_together() {
    let inline = |index: usize, bytes: usize| {
        let document = GOOD.replace("\"Effect\"", &format!("\"Sid\":\"{}\",\"Effect\"", "x".repeat(bytes)));
        format!("[[account.user.inline]]\nname = \"p{index}\"\ndocument = '{document}'\n")
    };
    let user = |count, bytes| format!("{HEAD}[[account.user]]\nname = \"a\"\n{}", (0..count).map(|i| inline(i, bytes)).collect::<String>());
    assert!(load(&user(20, 400)).is_ok());
    for text in [user(20, 520), user(21, 1)] {
        assert!(load(&text).unwrap_err().starts_with("iam.toml:4: at most 20 inline policies"));
    }
}

#[test]
fn a_refusal_is_told_with_the_line_of_the_identity_that_it_names() {
    let file = load(&format!("{HEAD}[[account.user]]\nname = \"a\"\n")).unwrap();
    let located = file.locate(account("111122223333"), "https://x:1 refused: user/a: its policy \"p\": no");
    assert!(located.ends_with("iam.toml:4: https://x:1 refused: user/a: its policy \"p\": no"), "{located}");
    for (digits, refusal) in [("111122223333", "user/b: no"), ("111122223333", "no leader"), ("444455556666", "user/a: no")] {
        assert_eq!(file.locate(account(digits), refusal), refusal);
    }
}
