//! A certificate's subject as people write it (RFC 4514), compared part by part.
//!
//! Never compared as one text: a value may hold what looks like a further part, and its writer decides what it holds.

use x509_parser::prelude::X509Name;

/// Attribute types by their names: the table of RFC 4514 section 3, and the two that certificates add most.
const KINDS: [(&str, &str); 11] = [
    ("CN", "2.5.4.3"),
    ("L", "2.5.4.7"),
    ("ST", "2.5.4.8"),
    ("O", "2.5.4.10"),
    ("OU", "2.5.4.11"),
    ("C", "2.5.4.6"),
    ("STREET", "2.5.4.9"),
    ("DC", "0.9.2342.19200300.100.1.25"),
    ("UID", "0.9.2342.19200300.100.1.1"),
    ("emailAddress", "1.2.840.113549.1.9.1"),
    ("serialNumber", "2.5.4.5"),
];
/// What ends a value, or means something else, unless it is escaped.
const SPECIAL: &[u8] = b"\"+,;<>\\";

/// A name: its parts as the text has them, which is from the last of the certificate to the first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct DistinguishedName(Vec<Part>);

/// Pairs of an attribute type (an OID) and a value, sorted: mostly one.
type Part = Vec<(String, String)>;

impl DistinguishedName {
    /// Parses `CN=backup,O=Example`, as `openssl x509 -noout -subject -nameopt RFC2253` writes it.
    ///
    /// # Errors
    /// Says what is wrong, for whoever wrote the text.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        let (mut parts, mut part, mut rest) = (Vec::new(), Part::new(), text);
        loop {
            let (kind, after) = rest.split_once('=').ok_or("every part must be of the form TYPE=value")?;
            let kind = oid_of(kind).ok_or("there is an attribute type that is neither of RFC 4514 nor an OID; no spaces around it")?;
            let (value, end) = read_value(after.as_bytes())?;
            part.push((kind, value));
            if after.as_bytes().get(end) != Some(&b'+') {
                part.sort();
                parts.push(std::mem::take(&mut part));
            }
            match after.get(end + 1..) {
                Some(more) => rest = more,
                None => return Ok(Self(parts)),
            }
        }
    }

    /// Of a certificate; none where a value is of a kind of text that is not compared here (all but UTF-8 and ASCII kinds).
    pub(crate) fn of(name: &X509Name<'_>) -> Option<Self> {
        let part = |part: Option<Part>| {
            let mut part = part?;
            part.sort();
            Some(part)
        };
        let parts = name.iter_rdn().map(|rdn| {
            let pairs = rdn.iter().map(|pair| Some((pair.attr_type().to_id_string(), pair.as_str().ok()?.to_owned())));
            part(pairs.collect())
        });
        let mut parts: Vec<Part> = parts.collect::<Option<_>>()?;
        parts.reverse();
        Some(Self(parts))
    }
}

fn oid_of(kind: &str) -> Option<String> {
    let is_oid = kind.contains('.') && kind.split('.').all(|arc| !arc.is_empty() && arc.bytes().all(|b| b.is_ascii_digit()));
    let named = KINDS.iter().find(|(name, _)| name.eq_ignore_ascii_case(kind)).map(|(_, oid)| (*oid).to_owned());
    named.or_else(|| is_oid.then(|| kind.to_owned()))
}

/// A value, and where the separator behind it is, or the end.
fn read_value(text: &[u8]) -> Result<(String, usize), &'static str> {
    const ESCAPE: &str = "there is a backslash before something that needs none; escape one of \"+,;<>\\=# or two hexadecimal digits";
    let (mut value, mut at) = (Vec::new(), 0);
    let mut ends_in_space = false;
    loop {
        ends_in_space = match text.get(at) {
            None | Some(b',' | b'+') => break,
            Some(b'\\') => {
                let next = *text.get(at + 1).ok_or(ESCAPE)?;
                if SPECIAL.contains(&next) || matches!(next, b' ' | b'#' | b'=') {
                    value.push(next);
                    at += 2;
                } else {
                    let pair = text.get(at + 1..at + 3).ok_or(ESCAPE)?;
                    value.extend(hex::decode(pair).map_err(|_| ESCAPE)?);
                    at += 3;
                }
                false
            }
            Some(b'#') if at == 0 => return Err("values as #hexadecimal are not supported; write the text"),
            Some(b' ') if at == 0 => return Err("a value begins with a space; leave it out, or escape it"),
            Some(b) if SPECIAL.contains(b) || *b == 0 => return Err("there is one of \";<> in a value; escape it with a backslash"),
            Some(b) => {
                value.push(*b);
                at += 1;
                *b == b' '
            }
        };
    }
    if ends_in_space {
        return Err("a value ends with a space; leave it out, or escape it");
    }
    if value.is_empty() {
        return Err("there is an empty value");
    }
    Ok((String::from_utf8(value).map_err(|_| "a value is not UTF-8")?, at))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(parts: &[&[(&str, &str)]]) -> DistinguishedName {
        let part = |part: &&[(&str, &str)]| part.iter().map(|(kind, value)| ((*kind).to_owned(), (*value).to_owned())).collect();
        DistinguishedName(parts.iter().map(part).collect())
    }

    const CN: &str = "2.5.4.3";
    const O: &str = "2.5.4.10";

    #[test]
    fn names_of_the_rfc_are_read() {
        let parse = |text| DistinguishedName::parse(text).unwrap();
        assert_eq!(parse("CN=backup,O=Example"), of(&[&[(CN, "backup")], &[(O, "Example")]]));
        assert_eq!(parse("cn=backup+o=Example"), of(&[&[(O, "Example"), (CN, "backup")]]));
        assert_eq!(parse("O=Example+CN=backup"), parse("CN=backup+O=Example"));
        assert_eq!(parse(r#"CN=James \"Jim\" Smith\, III"#), of(&[&[(CN, "James \"Jim\" Smith, III")]]));
        assert_eq!(parse(r"CN=Lu\C4\8Di\C4\87"), of(&[&[(CN, "Lučić")]]));
        assert_eq!(parse("CN=Lučić"), parse(r"CN=Lu\C4\8Di\C4\87"));
        assert_eq!(parse(r"CN=\ a\ "), of(&[&[(CN, " a ")]]));
        assert_eq!(parse(r"CN=a=b,2.5.4.10=x"), of(&[&[(CN, "a=b")], &[(O, "x")]]));
        assert_ne!(parse("CN=a,O=b"), parse("O=b,CN=a"));
    }

    #[test]
    fn everything_else_is_refused() {
        for bad in [
            "",
            "backup",
            "CN",
            "CN=",
            "CN=a,",
            "CN=a+",
            ",CN=a",
            "CN =a",
            "CN=a, O=b",
            "CN= a",
            "CN=a ",
            "CN=#0403",
            "CN=a;O=b",
            "CN=\"a\"",
            "CN=<a>",
            r"CN=a\",
            r"CN=a\g",
            r"CN=a\4",
            r"CN=\FF",
            "XX=a",
            "1.=a",
            ".=a",
            "CN=a\0",
        ] {
            assert!(DistinguishedName::parse(bad).is_err(), "{bad:?}");
        }
    }
}
