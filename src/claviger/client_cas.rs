//! `tls.api_ca`: who signs clients and operators, and what each of them may say.
//!
//! One path stands for the CA of a whole deployment, which may say everything; a list binds each CA to accounts.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use claviger_tls::{Accounts, Binding, BindingError, ClientCa, Holder};
use claviger_types::{AccountId, NamedPrincipal, Partition, Principal};
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use toml::Spanned;

/// The form of `tls.api_ca`.
#[derive(Clone, Debug)]
pub(crate) enum ApiCa {
    /// A path.
    One(PathBuf),
    /// A list of tables.
    Bound(Vec<CaEntry>),
}

/// One of `[[tls.api_ca]]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CaEntry {
    file: Spanned<PathBuf>,
    accounts: AccountsEntry,
    #[serde(default)]
    operators: bool,
    #[serde(default)]
    carriers: bool,
    #[serde(default)]
    mapping: Vec<MappingEntry>,
}

/// `"*"`, or account ids.
#[derive(Clone, Debug)]
enum AccountsEntry {
    All,
    Only(Vec<Spanned<String>>),
}

/// One of `[[tls.api_ca.mapping]]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct MappingEntry {
    subject: Option<Spanned<String>>,
    san_dns: Option<Spanned<String>>,
    principal: Spanned<String>,
}

/// What is wrong, and where in the text if it is at one place.
pub(crate) type Problem = (Option<Range<usize>>, String);

impl ApiCa {
    /// The CAs with paths relative to `base`, and principals of `partition`.
    ///
    /// # Errors
    /// The first problem.
    pub(crate) fn client_cas(&self, base: &Path, partition: &Partition) -> Result<Vec<ClientCa>, Problem> {
        let entries = match self {
            Self::One(path) => return Ok(vec![ClientCa { file: base.join(path), binding: Binding::everything() }]),
            Self::Bound(entries) => entries,
        };
        if entries.is_empty() {
            return Err((None, "tls.api_ca names no CA, so that nobody could connect; name one".to_owned()));
        }
        let mut files = BTreeSet::new();
        entries
            .iter()
            .map(|entry| {
                let file = base.join(entry.file.get_ref());
                if !files.insert(file.clone()) {
                    let problem = "this file is named twice; write one [[tls.api_ca]] with all that its CA may say";
                    return Err((Some(entry.file.span()), problem.to_owned()));
                }
                Ok(ClientCa { file, binding: entry.binding(partition)? })
            })
            .collect()
    }
}

impl CaEntry {
    fn binding(&self, partition: &Partition) -> Result<Binding, Problem> {
        let at = |span: Range<usize>| move |error: BindingError| (Some(span), error.to_string());
        let mut binding = Binding::new(self.accounts.parse()?, self.operators, self.carriers).map_err(at(self.file.span()))?;
        for mapping in &self.mapping {
            let (span, holder) = match (&mapping.subject, &mapping.san_dns) {
                (Some(subject), None) => (subject.span(), Holder::by_subject(subject.get_ref())),
                (None, Some(dns)) => (dns.span(), Holder::by_dns(dns.get_ref())),
                (Some(_), Some(_)) | (None, None) => {
                    let problem = "a mapping has either a subject or a san_dns; write a mapping for each";
                    return Err((Some(mapping.principal.span()), problem.to_owned()));
                }
            };
            let holder = holder.map_err(at(span.clone()))?;
            let principal = parse_principal(&mapping.principal, partition)?;
            binding.map(holder, principal).map_err(|error| match error {
                BindingError::Account(_) => at(mapping.principal.span())(error),
                _ => at(span)(error),
            })?;
        }
        Ok(binding)
    }
}

impl AccountsEntry {
    fn parse(&self) -> Result<Accounts, Problem> {
        match self {
            Self::All => Ok(Accounts::All),
            Self::Only(accounts) => {
                let parse =
                    |text: &Spanned<String>| text.get_ref().parse::<AccountId>().map_err(|error| (Some(text.span()), format!("{error}")));
                accounts.iter().map(parse).collect::<Result<_, _>>().map(Accounts::Only)
            }
        }
    }
}

/// A mapping leads to somebody who can ask: the ARN of a root, a user or a session of a role.
fn parse_principal(text: &Spanned<String>, partition: &Partition) -> Result<Principal, Problem> {
    let fail = |problem: String| Err((Some(text.span()), problem));
    let arn = text.get_ref();
    if !arn.starts_with("arn:") {
        return fail(format!("the principal must be an ARN like arn:{partition}:iam::111122223333:user/backup"));
    }
    match NamedPrincipal::parse(arn, partition) {
        Ok(NamedPrincipal::Account(account)) => Ok(Principal::Root { account }),
        Ok(NamedPrincipal::User { account, name }) => Ok(Principal::User { account, name }),
        Ok(NamedPrincipal::AssumedRole { account, role, session }) => Ok(Principal::AssumedRole { account, role, session }),
        Ok(NamedPrincipal::Role { account, name }) => {
            fail(format!("nobody is a role: name a session of it, arn:{partition}:sts::{account}:assumed-role/{name}/SESSION"))
        }
        Err(error) => fail(format!("{error}, in partition {partition}")),
    }
}

impl<'de> Deserialize<'de> for ApiCa {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;

        impl<'de> Visitor<'de> for Either {
            type Value = ApiCa;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the path of a CA file, or a list of [[tls.api_ca]]")
            }

            fn visit_str<E: Error>(self, path: &str) -> Result<ApiCa, E> {
                Ok(ApiCa::One(path.into()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, entries: A) -> Result<ApiCa, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(entries)).map(ApiCa::Bound)
            }

            fn visit_map<A: MapAccess<'de>>(self, entry: A) -> Result<ApiCa, A::Error> {
                CaEntry::deserialize(MapAccessDeserializer::new(entry)).map(|entry| ApiCa::Bound(vec![entry]))
            }
        }

        deserializer.deserialize_any(Either)
    }
}

impl<'de> Deserialize<'de> for AccountsEntry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;

        impl<'de> Visitor<'de> for Either {
            type Value = AccountsEntry;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("\"*\" for all accounts, or a list of account ids of 12 digits")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<AccountsEntry, E> {
                match text {
                    "*" => Ok(AccountsEntry::All),
                    _ => Err(E::invalid_value(serde::de::Unexpected::Str(text), &self)),
                }
            }

            fn visit_seq<A: SeqAccess<'de>>(self, accounts: A) -> Result<AccountsEntry, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(accounts)).map(AccountsEntry::Only)
            }
        }

        deserializer.deserialize_any(Either)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::load;

    const BOUND: &str = r#"
[[tls.api_ca]]
file = "ours.pem"
accounts = ["111122223333"]
operators = true

[[tls.api_ca.mapping]]
subject = "CN=backup,O=Example"
principal = "arn:aws:iam::111122223333:user/backup"

[[tls.api_ca.mapping]]
san_dns = "batch.example"
principal = "arn:aws:sts::111122223333:assumed-role/batch/1"

[[tls.api_ca]]
file = "theirs.pem"
accounts = "*"

[seal]
"#;

    fn in_place(example: &str, bound: &str) -> String {
        let simple = example.lines().find(|line| line.starts_with("api_ca = ")).unwrap();
        example.replacen(simple, "", 1).replacen("\n[seal]", bound, 1)
    }

    /// The example with a list of CAs in which `from` is `to`.
    fn with(from: &str, to: &str) -> Result<Vec<ClientCa>, String> {
        assert!(BOUND.contains(from), "{from}");
        let bound = BOUND.replacen(from, to, 1);
        load(|text| in_place(&text, &bound)).map(|config| config.client_cas)
    }

    #[test]
    fn both_forms_are_read() {
        let simple = load(|text| text).unwrap().client_cas;
        assert!(simple.len() == 1 && simple[0].file.ends_with("tls/api-ca.pem") && simple[0].binding == Binding::everything());

        let bound = with("", "").unwrap();
        let accounts = Accounts::Only(["111122223333".parse().unwrap()].into());
        let account = "111122223333".parse().unwrap();
        let mut ours = Binding::new(accounts, true, false).unwrap();
        let backup = Principal::User { account, name: "backup".to_owned() };
        ours.map(Holder::by_subject("CN=backup,O=Example").unwrap(), backup).unwrap();
        let batch = Principal::AssumedRole { account, role: "batch".to_owned(), session: "1".to_owned() };
        ours.map(Holder::by_dns("batch.example").unwrap(), batch).unwrap();
        assert!(bound.len() == 2 && bound[0].file.is_absolute() && bound[0].file.ends_with("ours.pem"));
        assert_eq!(bound[0].binding, ours);
        assert_eq!(bound[1].binding, Binding::new(Accounts::All, false, false).unwrap());
    }

    #[test]
    fn problems_name_the_line_and_the_remedy() {
        let mapping = "subject = \"CN=backup,O=Example\"";
        for (from, to, line, says) in [
            ("[\"111122223333\"]", "[\"1111\"]", "accounts =", "12 digits"),
            ("[\"111122223333\"]", "\"111122223333\"", "accounts =", "a list of account ids"),
            ("[\"111122223333\"]\noperators = true", "[]", "file = \"ours.pem\"", "may say nothing"),
            ("[\"111122223333\"]", "[\"444455556666\"]", "principal = \"arn:aws:iam", "account 111122223333"),
            ("theirs.pem", "ours.pem", "file = \"ours.pem\"\naccounts = \"*\"", "named twice"),
            (mapping, "subject = \"backup\"", "subject = \"backup\"", "RFC 4514"),
            (mapping, "san_dns = \"*.example\"", "san_dns = \"*.example\"", "wildcards"),
            (mapping, "san_dns = \"batch.example\"\n", "san_dns = \"batch.example\"\nprincipal = \"arn:aws:sts", "another mapping"),
            (mapping, "", "principal = \"arn:aws:iam", "either a subject or a san_dns"),
            (mapping, &format!("{mapping}\nsan_dns = \"x\""), "principal = \"arn:aws:iam", "either a subject or a san_dns"),
            (":user/backup", ":role/backup", "principal = \"arn:aws:iam", "assumed-role/backup/SESSION"),
            ("arn:aws:iam::111122223333:user/backup", "111122223333", "principal = \"1", "must be an ARN"),
            ("arn:aws:iam", "arn:aws-cn:iam", "principal = \"arn:aws-cn", "in partition aws"),
            (mapping, &format!("{mapping}\noperator = true"), "operator =", "operator"),
        ] {
            let text = with(from, to).unwrap_err();
            let example = include_str!("../../config/node.toml");
            let bound = BOUND.replacen(from, to, 1);
            let example = in_place(example, &bound);
            let expected = 2 + example[..example.find(&format!("\n{line}")).unwrap()].matches('\n').count();
            assert!(text.starts_with(&format!("node.toml:{expected}: ")) && text.contains(says), "{to}: {text} (line {expected})");
        }
        let none = load(|text| text.replace("\"tls/api-ca.pem\"", "[]")).unwrap_err();
        assert!(none.contains("names no CA"), "{none}");
        let number = load(|text| text.replace("\"tls/api-ca.pem\"", "1")).unwrap_err();
        assert!(number.contains("the path of a CA file, or a list of [[tls.api_ca]]"), "{number}");
    }
}
