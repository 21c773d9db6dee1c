//! From the bytes of a body to optional members: AWS JSON 1.1 (rules page, section 1).
//!
//! A missing member and a null one are the same; unknown members are skipped; a wrong type is a SerializationException.
//! Text is borrowed from the body where it can be, and blobs are decoded from it straight into their own memory. No
//! message repeats a value, since it could be a secret.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use serde_json::error::Category;
use zeroize::Zeroizing;

use crate::{ApiError, EncryptionContext};

/// Decodes one JSON object, all of `body`.
pub(crate) fn from_json<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, ApiError> {
    serde_json::from_slice::<Object<T>>(body).map(|object| object.0).map_err(|error| {
        let problem = match error.classify() {
            Category::Data => "a member has the wrong type",
            _ => "the body is not valid JSON",
        };
        ApiError::serialization(format!("Could not decode the request: {problem} (line {}, column {}).", error.line(), error.column()))
    })
}

/// Replaces the escapes `\/`, `\u002b`, `\u002f` and `\u003d` by what they mean; `None` when the body has no escape.
///
/// Some encoders write base64 with them. Without this step the JSON reader would unescape the plaintext into a buffer of
/// its own, which nobody zeroizes. Outside of strings the result is as invalid as the escape was.
pub(crate) fn without_base64_escapes(body: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let first = body.iter().position(|&byte| byte == b'\\')?;
    let mut out = Zeroizing::new(Vec::with_capacity(body.len()));
    out.extend_from_slice(&body[..first]);
    let mut rest = &body[first..];
    while let Some((&byte, after)) = rest.split_first() {
        let (written, used): (&[u8], usize) = match rest {
            [b'\\', b'/', ..] => (b"/", 2),
            [b'\\', b'u', b'0', b'0', b'2', b'b' | b'B', ..] => (b"+", 6),
            [b'\\', b'u', b'0', b'0', b'2', b'f' | b'F', ..] => (b"/", 6),
            [b'\\', b'u', b'0', b'0', b'3', b'd' | b'D', ..] => (b"=", 6),
            // Any other escape is kept whole, so that the second half of `\\` opens no new one.
            [b'\\', _, ..] => (&rest[..2], 2),
            _ => {
                out.push(byte);
                rest = after;
                continue;
            }
        };
        out.extend_from_slice(written);
        rest = &rest[used..];
    }
    Some(out)
}

/// A structure, written as a JSON object and not as an array, which serde would also take.
pub(crate) struct Object<T>(pub(crate) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ObjectVisitor<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
            type Value = Object<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Object<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(Object)
            }
        }
        deserializer.deserialize_map(ObjectVisitor(PhantomData))
    }
}

/// A string, borrowed from the body unless it has escapes.
#[derive(Deserialize)]
#[serde(transparent)]
pub(crate) struct Text<'a>(#[serde(borrow)] pub(crate) Cow<'a, str>);

/// A blob: standard base64 with padding.
pub(crate) struct Blob(pub(crate) Zeroizing<Vec<u8>>);

impl Blob {
    /// The bytes of a member that is not secret.
    pub(crate) fn into_public(mut self) -> Vec<u8> {
        std::mem::take(&mut *self.0)
    }
}

impl<'de> Deserialize<'de> for Blob {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct BlobVisitor;
        impl Visitor<'_> for BlobVisitor {
            type Value = Blob;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a base64 string")
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Blob, E> {
                let mut bytes = Zeroizing::new(vec![0; base64::decoded_len_estimate(text.len())]);
                let length = STANDARD.decode_slice(text, &mut bytes).map_err(|_| E::custom("not base64"))?;
                bytes.truncate(length);
                Ok(Blob(bytes))
            }
        }
        deserializer.deserialize_str(BlobVisitor)
    }
}

/// A map of strings. A key that occurs twice is refused: which one would be authenticated would depend on the reader.
pub(crate) struct Context(pub(crate) EncryptionContext);

impl<'de> Deserialize<'de> for Context {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ContextVisitor;
        impl<'de> Visitor<'de> for ContextVisitor {
            type Value = Context;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map of strings")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Context, A::Error> {
                let mut context = EncryptionContext::new();
                while let Some((key, value)) = map.next_entry()? {
                    if context.insert(key, value).is_some() {
                        return Err(A::Error::custom("a key occurs twice"));
                    }
                }
                Ok(Context(context))
            }
        }
        deserializer.deserialize_map(ContextVisitor)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Wire<'a> {
        #[serde(borrow)]
        name: Option<Text<'a>>,
        data: Option<Blob>,
        context: Option<Context>,
        number: Option<i32>,
    }

    fn error_of(body: &str) -> ApiError {
        from_json::<Wire<'_>>(body.as_bytes()).err().unwrap()
    }

    #[test]
    fn missing_null_and_unknown_members() {
        let wire: Wire<'_> = from_json(br#" {"Name":null,"Other":{"a":[1]},"Number":3} "#).unwrap();
        assert!(wire.name.is_none() && wire.data.is_none() && wire.context.is_none());
        assert_eq!(wire.number, Some(3));
    }

    #[test]
    fn text_is_borrowed() {
        let wire: Wire<'_> = from_json(br#"{"Name":"plain"}"#).unwrap();
        assert!(matches!(wire.name.unwrap().0, Cow::Borrowed("plain")));
        let wire: Wire<'_> = from_json(br#"{"Name":"a\nb"}"#).unwrap();
        assert_eq!(wire.name.unwrap().0, "a\nb");
    }

    #[test]
    fn what_is_not_json_or_of_another_type() {
        for body in
            ["", "null", "[]", "[\"a\"]", "\"x\"", "{", "{} {}", "{\"Name\":}", "{'Name':'x'}", "{\"Name\":\"\\ud800\"}", "\u{feff}{}"]
        {
            assert_eq!(error_of(body).code, crate::ErrorCode::Serialization, "{body}");
        }
        assert_eq!(error_of("{").message, "Could not decode the request: the body is not valid JSON (line 1, column 1).");
        for member in [
            r#""Name":1"#,
            r#""Name":{}"#,
            r#""Data":5"#,
            r#""Data":"YQ""#,
            r#""Data":"YR==""#,
            r#""Data":"Y Q==""#,
            r#""Data":"_w==""#,
            r#""Context":[]"#,
            r#""Context":{"a":1}"#,
            r#""Context":{"a":null}"#,
            r#""Context":{"a":"1","a":"1"}"#,
            r#""Number":"1""#,
            r#""Number":1.5"#,
            r#""Number":99999999999"#,
            r#""Number":1,"Number":1"#,
        ] {
            let error = error_of(&format!("{{{member}}}"));
            assert!(error.message.starts_with("Could not decode the request: a member has the wrong type"), "{member}: {error}");
        }
        let secret = error_of(r#"{"Number":"hunter2"}"#);
        assert!(!secret.message.contains("hunter2"));
    }

    #[test]
    fn deep_nesting_is_an_error_and_not_a_crash() {
        let body = format!("{{\"Other\":{}", "[".repeat(500_000));
        assert_eq!(error_of(&body).code, crate::ErrorCode::Serialization);
    }

    #[test]
    fn base64_escapes_go_and_others_stay() {
        assert!(without_base64_escapes(br#"{"Data":"+/8="}"#).is_none());
        let escaped = br#"{"Data":"\u002B\/8\u003d","Name":"a\\/b\"\u0041\\u002b"}"#;
        let plain = without_base64_escapes(escaped).unwrap();
        assert_eq!(plain.as_slice(), br#"{"Data":"+/8=","Name":"a\\/b\"\u0041\\u002b"}"#);
        assert_eq!(without_base64_escapes(b"x\\").unwrap().as_slice(), b"x\\");
    }

    proptest! {
        #[test]
        fn removing_escapes_never_changes_the_meaning(text: String, data: Vec<u8>) {
            let body = serde_json::json!({ "Name": text, "Data": STANDARD.encode(&data) }).to_string().replace('/', "\\/").replace('+', "\\u002B");
            let plain = without_base64_escapes(body.as_bytes()).unwrap_or_else(|| Zeroizing::new(body.clone().into_bytes()));
            let wire: Wire<'_> = from_json(&plain).unwrap();
            prop_assert_eq!(wire.name.unwrap().0.into_owned(), text);
            prop_assert_eq!(wire.data.unwrap().into_public(), data);
        }

        #[test]
        fn hostile_bytes_never_panic(body: Vec<u8>) {
            let _ = from_json::<Wire<'_>>(&body);
            let _ = without_base64_escapes(&body);
        }
    }
}
