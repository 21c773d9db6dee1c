//! Forms as SDKs and others send them, and the exact XML of the answers.

use proptest::prelude::*;

use super::*;

const FORM: &str = "Action=GetCallerIdentity&Version=2011-06-15";

fn parse(form: &str) -> Result<StsRequest, String> {
    StsRequest::parse(form.as_bytes()).map_err(|error| format!("{} {error}", error.http_status))
}

fn principals() -> [Principal; 3] {
    let account = "111122223333".parse().unwrap();
    [
        Principal::Root { account },
        Principal::User { account, name: "alice".to_owned() },
        Principal::AssumedRole { account, role: "app".to_owned(), session: "one".to_owned() },
    ]
}

#[test]
fn the_one_action() {
    for form in [
        FORM,
        "Version=2011-06-15&Action=GetCallerIdentity",
        "Action=Get%43aller%49dentity&Version=2011%2d06%2D15",
        "&Action=GetCallerIdentity&Other=%20a+b&Version=2011-06-15&Flag&",
    ] {
        assert_eq!(parse(form), Ok(StsRequest::GetCallerIdentity), "{form}");
    }
}

#[test]
fn other_actions_and_versions() {
    let invalid = |action: &str, version: &str| Err(format!("400 InvalidAction: Could not find operation {action} for version {version}"));
    assert_eq!(parse("Action=AssumeRole&Version=2011-06-15"), invalid("AssumeRole", "2011-06-15"));
    assert_eq!(parse("Action=getcalleridentity&Version=2011-06-15"), invalid("getcalleridentity", "2011-06-15"));
    assert_eq!(parse("Action=GetCallerIdentity"), invalid("GetCallerIdentity", "NO_VERSION_SPECIFIED"));
    assert_eq!(parse("Action=GetCallerIdentity&Version=2010-01-01"), invalid("GetCallerIdentity", "2010-01-01"));
    let long = format!("Action={}&Version=2011-06-15", "%C3%A9".repeat(500));
    assert_eq!(parse(&long), invalid(&"\u{e9}".repeat(64), "2011-06-15"));
}

#[test]
fn what_is_no_form() {
    for form in ["", "Version=2011-06-15", "Action=&Version=2011-06-15", "{}", "action=GetCallerIdentity"] {
        assert_eq!(parse(form), Err("400 MissingAction: The form has no Action.".to_owned()), "{form}");
    }
    for escape in ["%", "%4", "%zz", "%+1", "%-1"] {
        let expected = Err("400 MalformedQueryString: A parameter has a broken escape.".to_owned());
        assert_eq!(parse(&format!("{FORM}&a={escape}")), expected, "{escape}");
    }
    assert_eq!(parse("Action=%ff"), Err("400 MalformedQueryString: A parameter is not UTF-8.".to_owned()));
    assert_eq!(parse(&format!("{FORM}&Action=x")), Err("400 MalformedQueryString: A parameter occurs twice.".to_owned()));
    let fits = format!("{FORM}&a={}", "b".repeat(FORM_BYTES_MAX - FORM.len() - 3));
    assert_eq!(parse(&fits), Ok(StsRequest::GetCallerIdentity));
    assert_eq!(parse(&format!("{fits}b")), Err("413 RequestEntityTooLarge: The form is larger than 4096 bytes.".to_owned()));
}

#[test]
fn the_answer() {
    let [_, _, session] = principals();
    assert_eq!(
        CallerIdentity::of(&session, &Partition::default()).to_body("id"),
        r#"<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
  <GetCallerIdentityResult>
    <Arn>arn:aws:sts::111122223333:assumed-role/app/one</Arn>
    <UserId>app:one</UserId>
    <Account>111122223333</Account>
  </GetCallerIdentityResult>
  <ResponseMetadata>
    <RequestId>id</RequestId>
  </ResponseMetadata>
</GetCallerIdentityResponse>
"#
    );
    assert_eq!(principals().map(|principal| user_id(&principal)), ["111122223333", "alice", "app:one"]);
    let hostile = Principal::User { account: "111122223333".parse().unwrap(), name: "<&>".to_owned() };
    let body = CallerIdentity::of(&hostile, &Partition::default()).to_body("id");
    assert!(body.contains("user/&lt;&amp;&gt;</Arn>") && body.contains("<UserId>&lt;&amp;&gt;</UserId>"), "{body}");
}

#[test]
fn the_answer_of_an_error() {
    let error = StsRequest::parse(b"Action=%3C%26%00%0D%27%22%3E&Version=%EF%BF%BF").unwrap_err();
    assert_eq!(
        error.to_body("id"),
        "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\n  <Error>\n    <Type>Sender</Type>\n    \
         <Code>InvalidAction</Code>\n    <Message>Could not find operation &lt;&amp;\u{fffd}&#13;&apos;&quot;&gt; for version \
         \u{fffd}</Message>\n  </Error>\n  <RequestId>id</RequestId>\n</ErrorResponse>\n"
    );
    assert!(StsError::from(ApiError::internal()).to_body("id").contains("<Type>Receiver</Type>"));
}

#[test]
fn errors_of_the_edge_have_the_protocols_codes() {
    let of = |code| {
        let error = StsError::from(ApiError::new(code, "why"));
        assert_eq!(error.message, "why");
        (error.code, error.http_status)
    };
    assert_eq!(of(ErrorCode::MissingAuthenticationToken), ("MissingAuthenticationToken", 403));
    assert_eq!(of(ErrorCode::UnrecognizedClient), ("InvalidClientTokenId", 403));
    assert_eq!(of(ErrorCode::AccessDenied), ("AccessDenied", 403));
    assert_eq!(of(ErrorCode::Throttling), ("Throttling", 400));
    assert_eq!(of(ErrorCode::DependencyTimeout), ("ServiceUnavailable", 503));
    for &code in ErrorCode::ALL {
        let (name, status) = of(code);
        assert!(!name.ends_with("Exception"), "{name}");
        assert_eq!(status >= 500, code.http_status() >= 500, "{code}: a fault stays one");
    }
}

proptest! {
    #[test]
    fn no_form_makes_it_panic(body: Vec<u8>, text: String) {
        let _ = StsRequest::parse(&body);
        let form = format!("Action={text}&Version={text}");
        if let Err(error) = StsRequest::parse(form.as_bytes()) {
            prop_assert!(error.to_body("id").len() < 4096);
        }
    }
}
