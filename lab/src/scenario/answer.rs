//! What a call was answered with, and whether that is what is wanted.

use ivt_proto::rpc::RpcError;
use ivt_sim::cloud::NOT_ANSWERED;
use serde_json::{Value, json};

use super::format::Wanted;
use super::pattern::Pattern;

/// The answer, or the error as an object of its `code` and `msg`, where it is what is wanted. The patterns have no
/// `${NAME}` any more.
///
/// # Errors
/// What came, and what was expected.
pub(super) fn judged(wanted: &Wanted, answer: &Result<Value, RpcError>) -> Result<Value, String> {
    match (wanted, answer) {
        (_, Err(error)) if error.code == NOT_ANSWERED => Err(error.msg.clone()),
        (Wanted::Answer(Some(pattern)), Ok(answer)) if !pattern.fits(answer) => {
            Err(format!("answered {answer}, expected {pattern}"))
        }
        (Wanted::Answer(_), Ok(answer)) => Ok(answer.clone()),
        (Wanted::Answer(_), Err(error)) => {
            Err(format!("refused with {}: {}, expected an answer", error.code, error.msg))
        }
        (Wanted::Error(_), Ok(answer)) => Err(format!("answered {answer}, expected an error")),
        (Wanted::Error(pattern), Err(error)) => {
            let whole = json!({ "code": error.code, "msg": error.msg });
            if pattern.fits(&whole) || pattern.fits(&json!(error.code)) {
                Ok(whole)
            } else {
                Err(format!("refused with {whole}, expected {pattern}"))
            }
        }
    }
}

/// What is wanted, with the values in its patterns that `fill` knows.
///
/// # Errors
/// The name that has no value yet.
pub(super) fn filled(
    wanted: &Wanted,
    fill: impl Fn(&Value) -> Result<Value, String>,
) -> Result<Wanted, String> {
    Ok(match wanted {
        Wanted::Answer(pattern) => {
            let pattern = pattern.as_ref().map(|pattern| fill(&pattern.0)).transpose()?;
            Wanted::Answer(pattern.map(Pattern))
        }
        Wanted::Error(pattern) => Wanted::Error(Pattern(fill(&pattern.0)?)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Why an answer is not what is wanted.
    fn why(wanted: &Wanted, answer: Result<Value, RpcError>) -> Option<String> {
        judged(wanted, &answer).err()
    }

    #[test]
    fn an_answer_or_an_error_is_taken_as_it_is_wanted_and_only_so() {
        let answer = || Ok(json!([{ "token": "1" }]));
        let error = || Err(RpcError::new(103, "the camera refuses the login"));
        let answered = |pattern: Value| Wanted::Answer(Some(Pattern(pattern)));
        let refused = |pattern: Value| Wanted::Error(Pattern(pattern));
        for (wanted, fits) in [
            (Wanted::Answer(None), true),
            (answered(json!([{ "token": "1" }])), true),
            (answered(json!([{ "token": "2" }])), false),
            (refused(json!("*")), false),
        ] {
            assert_eq!(why(&wanted, answer()).is_none(), fits, "{wanted:?}");
        }
        for (wanted, fits) in [
            (refused(json!(103)), true),
            (refused(json!({ "code": 103, "msg": "*camera*" })), true),
            (refused(json!(104)), false),
            (refused(json!({ "code": 103, "msg": "!*camera*" })), false),
            (Wanted::Answer(None), false),
        ] {
            assert_eq!(why(&wanted, error()).is_none(), fits, "{wanted:?}");
        }
        let told = why(&refused(json!(104)), error()).unwrap_or_default();
        assert!(told.contains("103") && told.contains("expected 104"), "{told}");
        let none = Err(RpcError::new(NOT_ANSWERED, "no answer within 15 s"));
        assert_eq!(why(&refused(json!("*")), none).as_deref(), Some("no answer within 15 s"));
    }
}
