//! From the bytes of a body to optional members: AWS JSON 1.1 (rules page, section 1).
//!
//! A missing member and a null one are the same; unknown members are skipped; a wrong type is a SerializationException.
//! Text is borrowed from the body where it can be, and blobs are decoded from it straight into their own memory. Of lists
//! and maps no more is kept than shows that they are too large, since a body of 1 MiB can hold 350,000 items. No message
//! repeats a value, since it could be a secret.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use claviger_types::Timestamp;
use claviger_types::limits::ENCRYPTION_CONTEXT_BYTES_MAX;
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};
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

/// A time: seconds since the Unix epoch, with or without a fraction. Milliseconds are kept.
pub(crate) struct Seconds(pub(crate) Timestamp);

impl<'de> Deserialize<'de> for Seconds {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range was checked")]
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        /// The year 9999, past which nobody's clock goes.
        const SECONDS_MAX: f64 = 253_402_300_799.0;
        let seconds = f64::deserialize(deserializer)?;
        if !(0.0..=SECONDS_MAX).contains(&seconds) {
            return Err(D::Error::custom("not a time"));
        }
        Ok(Self(Timestamp::from_millis((seconds * 1000.0).round() as u64)))
    }
}

/// A list of at most `MAX` items, or its first `MAX` items and one more. What follows is read, so that its types are
/// checked, and dropped.
pub(crate) struct List<T, const MAX: usize>(Vec<T>);

impl<T, const MAX: usize> List<T, MAX> {
    pub(crate) const fn is_too_long(&self) -> bool {
        self.0.len() > MAX
    }

    /// The items that were kept.
    pub(crate) fn items(&self) -> &[T] {
        &self.0
    }

    /// The items that were kept.
    pub(crate) fn into_items(self) -> Vec<T> {
        self.0
    }
}

impl<'de, T: Deserialize<'de>, const MAX: usize> Deserialize<'de> for List<T, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ListVisitor<T, const MAX: usize>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>, const MAX: usize> Visitor<'de> for ListVisitor<T, MAX> {
            type Value = List<T, MAX>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<List<T, MAX>, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = seq.next_element()? {
                    if items.len() <= MAX {
                        items.push(item);
                    }
                }
                Ok(List(items))
            }
        }
        deserializer.deserialize_seq(ListVisitor(PhantomData))
    }
}

/// A map of strings. A key that occurs twice is refused: which one would be authenticated would depend on the reader. Once
/// it is larger than [`ENCRYPTION_CONTEXT_BYTES_MAX`], what follows is read and dropped.
pub(crate) struct Context(pub(crate) EncryptionContext);

/// What a context takes in the form that the message blob authenticates: pair count, then length and bytes of each key and
/// value.
pub(crate) fn context_bytes(context: &EncryptionContext) -> usize {
    context.iter().fold(2, |sum: usize, (key, value)| sum + pair_bytes(key, value))
}

const fn pair_bytes(key: &str, value: &str) -> usize {
    4 + key.len() + value.len()
}

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
                let mut bytes = context_bytes(&context);
                while let Some((key, value)) = map.next_entry::<String, String>()? {
                    if bytes > ENCRYPTION_CONTEXT_BYTES_MAX {
                        continue;
                    }
                    bytes += pair_bytes(&key, &value);
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
    fn of_a_long_list_little_is_kept_and_all_is_checked() {
        type Items<'a> = List<Option<Text<'a>>, 3>;
        fn list(body: &str) -> serde_json::Result<Items<'_>> {
            serde_json::from_str(body)
        }
        assert!(!list(r#"["a",null,"c"]"#).unwrap().is_too_long());
        let body = serde_json::json!(vec![(); 200_000]).to_string();
        let long = list(&body).unwrap();
        assert!(long.is_too_long());
        assert_eq!(long.items().len(), 4);
        assert!(long.into_items().capacity() <= 8);
        assert!(list(&body.replace("null]", "7]")).is_err());
        assert!(list("{}").is_err());
    }

    #[test]
    fn of_a_large_context_little_is_kept() {
        let pairs: EncryptionContext = (0..100_000).map(|number: u32| (number.to_string(), String::new())).collect();
        let body = serde_json::json!({ "Context": pairs }).to_string();
        let Context(context) = from_json::<Wire<'_>>(body.as_bytes()).unwrap().context.unwrap();
        assert!(context_bytes(&context) > ENCRYPTION_CONTEXT_BYTES_MAX && context.len() < 2000, "{}", context.len());
        let wrong = body.replace("\"99999\":\"\"", "\"99999\":7");
        assert_eq!(error_of(&wrong).code, crate::ErrorCode::Serialization, "what is dropped is checked first");
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
