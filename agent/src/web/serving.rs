//! What is served at each place of the page: the page, or the way to it.

use std::sync::Arc;

use tokio_rustls::TlsAcceptor;

use super::sockets::places;
use crate::config::{Listen, Web};

/// A page as it is served.
#[derive(Clone)]
pub(super) struct Served {
    pub(super) web: Arc<Web>,
    /// What encrypts its connections, where it is encrypted.
    pub(super) tls: Option<TlsAcceptor>,
    /// The port at which it is called.
    pub(super) port: u16,
}

/// The page, and beside it where it moves to.
#[derive(Clone, Default)]
pub(super) struct Serving {
    pub(super) now: Option<Served>,
    pub(super) trial: Option<Served>,
}

/// What a connection is for.
pub(super) enum Purpose {
    /// The page, which is encrypted by `tls`; `is_on_trial` where only the new place is like this.
    Page { served: Served, tls: Option<TlsAcceptor>, is_on_trial: bool },
    /// The page is encrypted, and this connection is not.
    Redirect(Served),
}

impl Serving {
    /// What a connection to a socket is for, by whether it comes encrypted; `None` if for nothing.
    pub(super) fn purpose(&self, at: &Listen, is_secure: bool) -> Option<Purpose> {
        let is_at = |served: &&Served| places(&served.web).contains(at);
        let mut both = [(&self.now, false), (&self.trial, true)].into_iter().filter_map(
            |(served, is_on_trial)| Some((served.as_ref().filter(is_at)?, is_on_trial)),
        );
        let here: Vec<_> = both.by_ref().collect();
        let page = here.iter().find(|(served, _)| served.web.https == is_secure);
        if let Some((served, is_on_trial)) = page {
            let tls = served.tls.clone();
            return Some(Purpose::Page {
                served: (*served).clone(),
                tls,
                is_on_trial: *is_on_trial,
            });
        }
        let encrypted = here.first().filter(|_| !is_secure);
        encrypted.map(|(served, _)| Purpose::Redirect((*served).clone()))
    }

    /// Whether any page here is encrypted.
    pub(super) fn is_any_secure(&self) -> bool {
        [&self.now, &self.trial].into_iter().flatten().any(|served| served.web.https)
    }

    /// The sockets that are needed.
    pub(super) fn places(&self) -> Vec<Listen> {
        let all = [&self.now, &self.trial].into_iter().flatten();
        let mut places: Vec<_> = all.flat_map(|served| places(&served.web)).collect();
        places.dedup();
        places
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn served(listen: &str, https: &str) -> Served {
        let text = format!("[web]\nenable = true\nlisten = '{listen}'\nhttps = '{https}'");
        let web = text.parse::<crate::config::Config>().unwrap().web.unwrap();
        Served { port: web.listen.port, web: web.into(), tls: None }
    }

    /// What is at a socket for who comes plain, and for who comes encrypted.
    fn found(serving: &Serving, at: &str) -> [&'static str; 2] {
        [false, true].map(|is_secure| match serving.purpose(&at.parse().unwrap(), is_secure) {
            Some(Purpose::Page { is_on_trial: true, .. }) => "new",
            Some(Purpose::Page { .. }) => "page",
            Some(Purpose::Redirect(_)) => "redirect",
            None => "-",
        })
    }

    #[test]
    fn plain_calls_of_an_encrypted_page_are_sent_there() {
        let plain = Serving { now: Some(served("lan:80", "off")), trial: None };
        assert_eq!((found(&plain, "lan:80"), found(&plain, "lan:443")), (["page", "-"], ["-"; 2]));
        let secure = Serving { now: Some(served("lan:80", "on")), trial: None };
        for at in ["lan:80", "lan:443"] {
            assert_eq!(found(&secure, at), ["redirect", "page"]);
        }
    }

    #[test]
    fn what_is_on_trial_stands_beside_what_was_there() {
        let now = Some(served("lan:8080", "off"));
        let moved = Serving { now: now.clone(), trial: Some(served("lan:81", "off")) };
        assert_eq!(found(&moved, "lan:8080"), ["page", "-"]);
        assert_eq!(found(&moved, "lan:81"), ["new", "-"]);
        assert_eq!(moved.places().len(), 2);
        let encrypted = Serving { now: now.clone(), trial: Some(served("lan:8080", "on")) };
        assert_eq!(found(&encrypted, "lan:8080"), ["page", "new"]);
        assert_eq!(encrypted.places().len(), 1);
        let back = Serving { now: encrypted.trial, trial: now };
        assert_eq!(found(&back, "lan:8080"), ["new", "page"]);
    }
}
