//! `[channel.abilities]`: which of a channel's backends fills which of its slots.

use std::sync::Arc;

use ivt_hal::Channel;
use toml::de::DeValue;

use super::unknown::UnknownCamera;
use crate::config::error::Error;
use crate::config::section::Section;

/// The word for a slot that stays empty.
const NONE: &str = "none";

macro_rules! slots {
    ($($slot:ident),*) => {
        /// The backend of single slots, by its word, or "none". `None` is the first backend that has the ability.
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub(super) struct Choices {
            pub(super) streams: Option<&'static str>,
            $(pub(super) $slot: Option<&'static str>,)*
        }

        impl Choices {
            /// Reads the section of a channel whose backends have these words; those of `cameras` have streams.
            pub(super) fn read(
                section: &mut Section<'_, '_>,
                words: &[&'static str],
                cameras: &[&'static str],
            ) -> Result<Self, Error> {
                let or_none = [words, &[NONE]].concat();
                Ok(Self {
                    streams: section.read("streams", one(cameras))?,
                    $($slot: section.read(stringify!($slot), one(&or_none))?,)*
                })
            }

            /// The first slot whose chosen backend lacks the ability, and that backend.
            pub(super) fn lacking(
                &self,
                offers: &[(&'static str, Channel)],
            ) -> Option<(&'static str, &'static str)> {
                $(
                    let lacks = |word: &&str| {
                        let mut chosen = offers.iter().filter(|(of, _)| of == word);
                        chosen.any(|(_, channel)| channel.$slot.is_none())
                    };
                    if let Some(word) = self.$slot.filter(lacks) {
                        return Some((stringify!($slot), word));
                    }
                )*
                None
            }

            /// The slots, each with the word of the backend that fills it.
            #[cfg(all(feature = "onvif", feature = "profiles"))]
            pub(super) fn fillers(
                &self,
                offers: &[(&'static str, Channel)],
            ) -> Vec<(&'static str, Option<&'static str>)> {
                let streams = self.streams.or(offers.first().map(|(word, _)| *word));
                let mut fillers = vec![("streams", streams)];
                $(
                    let mut having = offers.iter().filter(|(word, channel)| {
                        self.$slot.is_none_or(|of| of == *word) && channel.$slot.is_some()
                    });
                    fillers.push((stringify!($slot), having.next().map(|(word, _)| *word)));
                )*
                fillers
            }

            /// A channel whose slots are filled by what the backends offer, in their order.
            pub(super) fn fill(&self, offers: &[(&'static str, Channel)]) -> Channel {
                let encoder = chosen(self.streams, offers).next();
                Channel {
                    encoder: encoder.map_or_else(
                        || Arc::new(UnknownCamera) as _,
                        |channel| Arc::clone(&channel.encoder),
                    ),
                    $($slot: chosen(self.$slot, offers).find_map(|channel| channel.$slot.clone()),)*
                }
            }
        }
    };
}

slots!(
    snapshot, ptz, presets, tours, patrol, motion, tripwire, network, wifi, power, alarms, clock
);

fn chosen<'a>(
    choice: Option<&'static str>,
    offers: &'a [(&'static str, Channel)],
) -> impl Iterator<Item = &'a Channel> {
    let chosen = offers.iter().filter(move |(word, _)| choice.is_none_or(|choice| choice == *word));
    chosen.map(|(_, channel)| channel)
}

/// One of these words. Errors do not repeat the value, which may be a secret in the wrong line.
fn one(words: &[&'static str]) -> impl Fn(&DeValue<'_>) -> Result<&'static str, String> {
    move |value| {
        let known = words.iter().find(|word| value.as_str() == Some(word));
        known.copied().ok_or_else(|| {
            let allowed: Vec<_> = words.iter().map(|word| format!("{word:?}")).collect();
            let found = if value.as_str().is_some() { "another word" } else { value.type_str() };
            format!("{}, found {found}", allowed.join(" or "))
        })
    }
}
