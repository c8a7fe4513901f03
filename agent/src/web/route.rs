//! The routes of the page: which call is answered by what, and who may make it.

use futures::future::BoxFuture;

use super::call::Call;
use super::reply::{Refusal, Reply};

/// What answers a call.
pub(crate) type Handler = fn(Call) -> BoxFuture<'static, Result<Reply, Refusal>>;

/// What a call does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    Get,
    Post,
    Put,
    Delete,
}

/// Who may make a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Everyone who reaches the page, also while the device has no owner yet.
    Open,
    /// Everyone who reaches the page.
    Public,
    /// Who is logged in.
    Session,
}

/// What the body of a call is. No form of another site's page can send either.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Takes {
    Json,
    /// A file, as it is.
    #[cfg(feature = "update")]
    File,
}

/// One method of one path.
#[derive(Clone, Copy)]
pub(crate) struct Route {
    pub(crate) verb: Verb,
    /// The path, with its parameters as `{name}`.
    pub(crate) path: &'static str,
    pub(crate) access: Access,
    pub(crate) takes: Takes,
    /// Whether the answer goes on by itself. A browser asks for such an answer anew, whoever sits before it: that is no
    /// use of the session.
    pub(crate) is_endless: bool,
    pub(crate) answer: Handler,
}

impl Route {
    /// Reads something.
    pub(crate) const fn get(path: &'static str, answer: Handler) -> Self {
        Self::new(Verb::Get, path, answer)
    }

    /// Does something.
    pub(crate) const fn post(path: &'static str, answer: Handler) -> Self {
        Self::new(Verb::Post, path, answer)
    }

    /// Puts something in the place of what was there.
    pub(crate) const fn put(path: &'static str, answer: Handler) -> Self {
        Self::new(Verb::Put, path, answer)
    }

    /// Removes something.
    pub(crate) const fn delete(path: &'static str, answer: Handler) -> Self {
        Self::new(Verb::Delete, path, answer)
    }

    /// The same route for everyone who reaches the page, also while the device has no owner yet.
    pub(crate) const fn open(self) -> Self {
        Self { access: Access::Open, ..self }
    }

    /// The same route for everyone who reaches the page.
    pub(crate) const fn public(self) -> Self {
        Self { access: Access::Public, ..self }
    }

    /// The same route, which takes a file.
    #[cfg(feature = "update")]
    pub(crate) const fn of_file(self) -> Self {
        Self { takes: Takes::File, ..self }
    }

    /// The same route, whose answer goes on by itself.
    pub(crate) const fn endless(self) -> Self {
        Self { is_endless: true, ..self }
    }

    const fn new(verb: Verb, path: &'static str, answer: Handler) -> Self {
        Self { verb, path, access: Access::Session, takes: Takes::Json, is_endless: false, answer }
    }
}

impl Takes {
    /// The media type.
    pub(crate) fn kind(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            #[cfg(feature = "update")]
            Self::File => "application/octet-stream",
        }
    }
}

impl Verb {
    /// Name of the method.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
        }
    }
}
