use proptest::prelude::*;

use super::*;

fn read_all(values: &[&str]) -> Offers {
    read(&mut values.iter().copied())
}

/// `SCHEME realm|nonce|opaque|algorithm|qop|stale` of each usable challenge.
fn show(values: &[&str]) -> Vec<String> {
    let show = |c: Challenge| {
        let opaque = c.opaque.as_deref().unwrap_or("-");
        let algorithm = c.algorithm.as_deref().unwrap_or("-");
        let (qop, stale) = (c.qop.unwrap_or("-"), if c.stale { "stale" } else { "-" });
        format!("{:?} {}|{}|{opaque}|{algorithm}|{qop}|{stale}", c.scheme, c.realm, c.nonce)
    };
    read_all(values).usable.into_iter().map(show).collect()
}

#[test]
fn challenges_are_understood_as_cameras_write_them() {
    let rows: &[(&str, &[&str])] = &[
        (
            r#"Digest realm="IP Camera(C1)", nonce="a1", stale="FALSE""#,
            &["Md5 IP Camera(C1)|a1|-|-|-|-"],
        ),
        (r#"Digest realm="r",nonce="n",stale=TRUE"#, &["Md5 r|n|-|-|-|stale"]),
        (r#"DIGEST REALM="r" , NONCE = "n" ,, Stale= "true";"#, &["Md5 r|n|-|-|-|stale"]),
        (r#"digest realm=r,nonce=n==,opaque=o,algorithm=md5"#, &["Md5 r|n==|o|md5|-|-"]),
        (r#"Digest realm=IP Camera, nonce=n"#, &["Md5 IP Camera|n|-|-|-|-"]),
        (r#"Digest realm=IP Camera nonce=n== opaque="a,b""#, &["Md5 IP Camera|n==|a,b|-|-|-"]),
        (r#"Digest realm="r" nonce="n" qop="auth""#, &["Md5 r|n|-|-|auth|-"]),
        (r#"Digest realm="r"; nonce="n"; algorithm=MD5"#, &["Md5 r|n|-|MD5|-|-"]),
        (r#"Digest realm="a, b=c; Basic", nonce="n""#, &["Md5 a, b=c; Basic|n|-|-|-|-"]),
        (r#"Digest realm="a\"b\\c\d", nonce="n""#, &[r#"Md5 a\"b\\c\d|n|-|-|-|-"#]),
        (r#"Digest realm=" r ", nonce="n"#, &["Md5  r |n|-|-|-|-"]),
        (r#"Digest realm="r", nonce=n", opaque="""#, &["Md5 r|n||-|-|-"]),
        (r#"Digest realm="r", nonce="n\"#, &["Md5 r|n|-|-|-|-"]),
        (r#"Digest realm="r", nonce="n", qop="auth,auth-int""#, &["Md5 r|n|-|-|auth|-"]),
        (r#"Digest realm="r", qop=auth-int, auth, nonce="n""#, &["Md5 r|n|-|-|auth-int|-"]),
        (r#"Digest realm="r", nonce="n", qop="auth-int""#, &["Md5 r|n|-|-|auth-int|-"]),
        (r#"Digest realm="r", nonce="n", qop="", algorithm="""#, &["Md5 r|n|-|-|-|-"]),
        (r#"Digest realm="r", nonce="n", qop="token""#, &["Md5 r|n|-|-|-|-"]),
        (r#"Digest realm="r", nonce="n", algorithm="SHA-256""#, &["Sha256 r|n|-|SHA-256|-|-"]),
        (r#"Digest realm="r", nonce="n", algorithm=sha256"#, &["Sha256 r|n|-|sha256|-|-"]),
        (r#"Digest nonce="n", algorithm=SHA-256-sess"#, &["Sha256Sess |n|-|SHA-256-sess|-|-"]),
        (r#"Digest nonce="n", algorithm=MD5-sess"#, &["Md5Sess |n|-|MD5-sess|-|-"]),
        (r#"Digest realm="r", nonce="n", domain="/", charset=UTF-8, x"#, &["Md5 r|n|-|-|-|-"]),
        (r#"Digest realm="r", realm="s", nonce="n", nonce="o""#, &["Md5 r|n|-|-|-|-"]),
        ("Digest realm=\"r\",\r\n nonce=\"n\"", &["Md5 r|n|-|-|-|-"]),
        ("Digest realm=\"a\r\nX: y\", nonce=\"n\0\"", &["Md5 a  X: y|n |-|-|-|-"]),
        (r#"Basic realm="r""#, &["Basic r||-|-|-|-"]),
        ("Basic", &["Basic ||-|-|-|-"]),
        (
            r#"Negotiate, Bearer abc==, Digest realm="r", nonce="n", Basic realm="s""#,
            &["Md5 r|n|-|-|-|-", "Basic s||-|-|-|-"],
        ),
        (r#"NTLM TlRMTVNTUAAC==,Basic realm="s""#, &["Basic s||-|-|-|-"]),
        (r#"Digest realm="r", nonce="""#, &[]),
        (r#"Digest realm="r""#, &[]),
        (r#"Digest realm="r", nonce="n", algorithm=SHA-512-256"#, &[]),
        (r#"realm="r", nonce="n""#, &[]),
        ("", &[]),
        (r#"",=;"" ="#, &[]),
    ];
    for (value, want) in rows {
        assert_eq!(&show(&[value]), want, "{value}");
    }
}

#[test]
fn several_headers_are_as_one() {
    let md5 = r#"Digest realm="r", nonce="n", algorithm="MD5""#;
    let sha = r#"Digest realm="r", nonce="n", algorithm="SHA-256""#;
    let both = ["Md5 r|n|-|MD5|-|-".to_owned(), "Sha256 r|n|-|SHA-256|-|-".to_owned()];
    assert_eq!(show(&[md5, sha]), both);
    assert_eq!(show(&[&format!("{md5}, {sha}")]), both);
    assert_eq!(show(&[md5, sha, &md5.replace('r', "s")]), both, "the first of its scheme");
}

#[test]
fn the_names_of_all_schemes_are_told() {
    let names = |value: &str| read_all(&[value]).names;
    assert_eq!(names("Negotiate, Bearer x=y"), "Negotiate, Bearer");
    assert_eq!(names("Digest nonce=n, algorithm=SHA-512-256"), "Digest SHA-512-256");
    assert_eq!(names("Digest realm=r"), "Digest without a nonce");
    assert_eq!(names(&"x".repeat(4000)), "x".repeat(MAX_NAMES));
    assert_eq!(names(""), "");
}

#[test]
fn headers_without_end_are_not_read() {
    let long = format!("Basic realm=\"{}\"", "x".repeat(MAX_VALUE));
    assert!(read_all(&[&long]).usable.is_empty());
    let late = [&["Bearer"; MAX_VALUES][..], &["Basic"]].concat();
    assert!(read_all(&late).usable.is_empty());
    assert_eq!(read_all(&late[1..]).usable.len(), 1);
    let many = "Bearer, ".repeat(MAX_CHALLENGES);
    assert!(read_all(&[&(many.clone() + "Basic")]).usable.is_empty());
    assert_eq!(read_all(&[&(many[8..].to_owned() + "Basic")]).usable.len(), 1);
}

#[test]
fn only_quotes_and_backslashes_are_escaped() {
    assert_eq!(unescape(r"plain"), "plain");
    assert_eq!(unescape(r#"a\"b\\c\d\\\""#), r#"a"b\c\d\""#);
    assert_eq!(unescape("\\"), "\\");
}

/// Whether a text may stand between quotes.
fn fits(text: &str) -> bool {
    let mut escaped = false;
    let open = text.chars().all(|c| {
        let fits = !c.is_control() && (c != '"' || escaped);
        escaped = c == '\\' && !escaped;
        fits
    });
    open && !escaped
}

proptest! {
    #[test]
    fn any_header_is_survived_and_nothing_in_it_breaks_out(
        values in proptest::collection::vec(
            prop_oneof![
                any::<String>(),
                "(Digest |Basic |x )?((realm|nonce|opaque|algorithm|qop|stale|auth)[ =\",;\\\\\r\n\ta-c]{0,6}){0,8}",
            ],
            0..4,
        ),
    ) {
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        let offers = read_all(&values);
        prop_assert!(offers.names.chars().count() <= MAX_NAMES && fits(&offers.names.replace(['"', '\\'], "")));
        for c in offers.usable {
            let opaque = c.opaque.unwrap_or_default();
            prop_assert!(fits(&c.realm) && fits(&c.nonce) && fits(&opaque), "{}|{}|{opaque}", c.realm, c.nonce);
            prop_assert!(c.algorithm.iter().all(|name| name.chars().all(|c| c == '-' || c.is_ascii_alphanumeric())));
        }
    }

    #[test]
    fn quoted_texts_come_through(realm in "[ -~é]{0,20}", nonce in "[!-~]{1,20}") {
        let escape = |text: &str| text.replace('\\', r"\\").replace('"', "\\\"");
        let value = format!("Digest realm=\"{}\", nonce=\"{}\"", escape(&realm), escape(&nonce));
        let usable = read_all(&[&value]).usable;
        prop_assert_eq!(unescape(&usable[0].realm), realm);
        prop_assert_eq!(unescape(&usable[0].nonce), nonce);
    }
}
