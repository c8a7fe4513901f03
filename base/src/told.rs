//! What the log was told already, so that it is told each thing once.

/// Remembers what was told last, until it is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told<T = ()>(Option<T>);

impl<T: PartialEq> Told<T> {
    /// True when `what` is news: nothing was told yet, or something else.
    pub fn is_news(&mut self, what: T) -> bool {
        let news = self.0.as_ref() != Some(&what);
        self.0 = Some(what);
        news
    }

    /// Forgets what was told. True when there was something, so that its end is news.
    pub fn is_over(&mut self) -> bool {
        self.0.take().is_some()
    }

    /// What was told last, while it lasts.
    pub fn last(&self) -> Option<&T> {
        self.0.as_ref()
    }
}

impl<T> Default for Told<T> {
    fn default() -> Self {
        Self(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thing_is_told_once_and_its_end_once() {
        let mut told = Told::default();
        assert!(!told.is_over(), "what was never told has no end");
        assert!(told.is_news("full") && !told.is_news("full") && told.is_news("damaged"));
        assert_eq!(told.last(), Some(&"damaged"));
        assert!(told.is_over() && !told.is_over());
        assert!(told.is_news("damaged"), "it came back");
    }
}
