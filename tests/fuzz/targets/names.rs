//! Names: ARNs, aliases, key ids, regions, principals, SPIFFE ids.

use std::fmt::Display;
use std::str::FromStr;

use claviger_types::{AccountId, AliasName, GrantId, Identity, KeyId, KeyRef, MaterialId, NamedPrincipal, Partition, Region, TrustDomain};

/// Any of them. Whatever a text is taken for is written as that very text, but for hexadecimal digits, which may have come in upper
/// case.
pub fn name(input: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(input) else { return false };
    let domain: TrustDomain = "kms.example".parse().expect("a trust domain");
    let partition = Partition::default();
    let mut taken = [
        round_trips::<AccountId>(text),
        round_trips::<AliasName>(text),
        round_trips_in_lower_case::<KeyId>(text),
        round_trips_in_lower_case::<MaterialId>(text),
        round_trips::<Partition>(text),
        round_trips::<Region>(text),
        round_trips::<TrustDomain>(text),
    ]
    .contains(&true);
    if let Ok(named) = text.parse::<KeyRef>() {
        let (again, digits) = match &named {
            KeyRef::Id(id) => (id.to_string(), text.len()),
            KeyRef::Arn(arn) => (arn.to_string(), arn.key_id.to_string().len()),
            KeyRef::Alias(alias) => (alias.to_string(), 0),
            KeyRef::AliasArn(arn) => (arn.to_string(), 0),
        };
        let (before, digits) = text.split_at(text.len() - digits);
        assert_eq!(again, format!("{before}{}", digits.to_ascii_lowercase()));
        taken = true;
    }
    if let Ok(identity) = Identity::from_spiffe(text, &domain) {
        assert_eq!(identity.to_spiffe(&domain), text);
        taken = true;
    }
    if let Ok(principal) = NamedPrincipal::parse(text, &partition) {
        let arn = principal.arn(&partition);
        // Twelve digits are an account's other name.
        assert!(arn == text || text.parse() == Ok(principal.account()), "{arn}");
        assert_eq!(NamedPrincipal::parse(&arn, &partition), Ok(principal));
        taken = true;
    }
    if let Some(grant) = GrantId::parse(text) {
        assert_eq!(grant.to_string(), text);
        taken = true;
    }
    taken
}

fn round_trips_in_lower_case<T: FromStr + Display>(text: &str) -> bool {
    let Ok(value) = text.parse::<T>() else { return false };
    assert_eq!(value.to_string(), text.to_ascii_lowercase());
    true
}

fn round_trips<T: FromStr + Display>(text: &str) -> bool {
    let Ok(value) = text.parse::<T>() else { return false };
    assert_eq!(value.to_string(), text);
    true
}
