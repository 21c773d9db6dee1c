//! Signatures of AWS's published test suite (aws-sig-v4-test-suite), as far as its requests go to `/`. They are of a
//! service and a shape that [`crate::Claim`] refuses, so they are put to the parts below it.

use aws_lc_rs::digest::{SHA256, digest};
use http::{HeaderMap, HeaderName, HeaderValue, Method};

use crate::SignatureError;
use crate::access_key::SecretAccessKey;
use crate::canonical::CanonicalRequest;
use crate::signing_key::Scope;

struct Case {
    name: &'static str,
    method: Method,
    headers: &'static [(&'static str, &'static str)],
    body: &'static str,
    signature: &'static str,
}

const CASES: [Case; 8] = [
    Case {
        name: "get-vanilla",
        method: Method::GET,
        headers: &[],
        body: "",
        signature: "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
    },
    Case {
        name: "post-vanilla",
        method: Method::POST,
        headers: &[],
        body: "",
        signature: "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
    },
    Case {
        name: "get-header-key-duplicate",
        method: Method::GET,
        headers: &[("my-header1", "value2"), ("my-header1", "value2"), ("my-header1", "value1")],
        body: "",
        signature: "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea",
    },
    Case {
        name: "get-header-value-order",
        method: Method::GET,
        headers: &[("my-header1", "value4"), ("my-header1", "value1"), ("my-header1", "value3"), ("my-header1", "value2")],
        body: "",
        signature: "08c7e5a9acfcfeb3ab6b2185e75ce8b1deb5e634ec47601a50643f830c755c01",
    },
    Case {
        name: "get-header-value-trim",
        method: Method::GET,
        headers: &[("my-header1", " value1"), ("my-header2", " \"a   b   c\"")],
        body: "",
        signature: "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
    },
    Case {
        name: "post-header-key-sort",
        method: Method::POST,
        headers: &[("my-header1", "value1")],
        body: "",
        signature: "c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c",
    },
    Case {
        name: "post-header-value-case",
        method: Method::POST,
        headers: &[("my-header1", "VALUE1")],
        body: "",
        signature: "cdbc9802e29d2942e5e10b5bccfdd67c5f22c7c4e8ae67b53629efa58b974b7d",
    },
    Case {
        name: "post-x-www-form-urlencoded",
        method: Method::POST,
        headers: &[("content-type", "application/x-www-form-urlencoded")],
        body: "Param1=value1",
        signature: "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
    },
];

fn check(case: &Case) -> Result<(), SignatureError> {
    let mut headers = HeaderMap::new();
    let given = [("host", "example.amazonaws.com"), ("x-amz-date", "20150830T123600Z")];
    for (name, value) in given.into_iter().chain(case.headers.iter().copied()) {
        headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    let mut names: Vec<&str> = headers.keys().map(HeaderName::as_str).collect();
    names.sort_unstable();
    let request = CanonicalRequest { method: &case.method, headers: &headers, authority: None, signed_headers: &names.join(";") };
    let hash = request.hash(&hex::encode(digest(&SHA256, case.body.as_bytes())));
    let secret = SecretAccessKey::parse("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY").unwrap();
    let scope = Scope { day: "20150830", region: "us-east-1", service: "service" };
    scope.verify(&secret, "20150830T123600Z", &hash, &hex::decode(case.signature).unwrap())
}

#[test]
fn every_signature_of_the_suite_verifies_and_no_other() {
    for case in CASES {
        assert_eq!(check(&case), Ok(()), "{}", case.name);
        let other = Case { body: "another body", ..case };
        assert_eq!(check(&other), Err(SignatureError::Mismatch), "{}", other.name);
    }
}
