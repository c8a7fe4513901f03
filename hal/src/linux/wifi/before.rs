//! Which networks wpa_supplicant had at a moment.

use std::fmt;
use std::str::FromStr;

/// The networks that wpa_supplicant had, by their ids; written `USED;ENABLED,ENABLED;ALL,ALL`.
pub(super) struct Before {
    pub(super) used: Option<u32>,
    pub(super) enabled: Vec<u32>,
    pub(super) all: Vec<u32>,
}

/// Text that is no [`Before`].
pub(super) struct NotNoted;

impl fmt::Display for Before {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |ids: &[u32]| ids.iter().map(u32::to_string).collect::<Vec<_>>().join(",");
        let used: Vec<u32> = self.used.into_iter().collect();
        write!(f, "{};{};{}", list(&used), list(&self.enabled), list(&self.all))
    }
}

impl FromStr for Before {
    type Err = NotNoted;

    fn from_str(text: &str) -> Result<Self, NotNoted> {
        let list = |text: &str| {
            let ids = text.split(',').filter(|id| !id.is_empty());
            ids.map(|id| id.parse().map_err(|_| NotNoted)).collect::<Result<Vec<u32>, _>>()
        };
        let fields: Vec<_> = text.split(';').map(list).collect::<Result<_, _>>()?;
        let [used, enabled, all] = <[_; 3]>::try_from(fields).map_err(|_| NotNoted)?;
        Ok(Self { used: used.first().copied(), enabled, all })
    }
}
