//! Decides which access units are given as pictures: complete ones that can be decoded.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::sets::Sets;
use super::unit::Unit;
use crate::frame::VideoParams;
use crate::rtp::Picture;

/// A stream that shows no key picture for this long does not mark its key pictures.
const KEYLESS: Duration = Duration::from_secs(3);

/// Lets the pictures of one stream pass, or not.
#[derive(Debug, Default)]
pub(super) struct Gate {
    force: Option<InForce>,
    /// When the stream began.
    pub(super) began: Option<Instant>,
    /// Whether nothing but a key picture may follow.
    pub(super) needs_key: bool,
    /// Whether leading pictures refer to pictures that were not given.
    fresh: bool,
    /// Whether a key picture was given.
    had_key: bool,
    /// Whether an IDR picture or a believable recovery point was seen.
    tells_keys: bool,
    /// Timestamp of the newest key picture, while pictures shown before it may follow.
    open: Option<u32>,
    /// Pictures given up.
    pub(super) dropped: u64,
    /// Bytes to expect of a picture that is no key, and of a key picture.
    usual: [usize; 2],
}

/// The parameters in force.
#[derive(Debug)]
struct InForce {
    sps: u8,
    params: Arc<VideoParams>,
    reorder_depth: Option<usize>,
}

impl Gate {
    /// The picture that a unit with a slice makes; `None` if it is not to be given.
    pub(super) fn judge(&mut self, unit: Unit, sets: &mut Sets) -> Option<Picture> {
        let key = self.is_key(&unit);
        if unit.damaged {
            self.dropped += u64::from(!unit.counted);
            self.needs_key = true;
            return None;
        }
        // Parameters in force change only at a key picture.
        let stale = unit.new_sets && self.force.is_some();
        let given = !unit.unknown && (key || !self.needs_key && !stale);
        let params = if given { self.params(&unit, key, sets) } else { None };
        let (Some(params), Some(received)) = (params, unit.received) else {
            self.refuse();
            return None;
        };
        let timestamp = unit.timestamp;
        let mut leading = unit.skipped;
        if key {
            self.fresh = self.needs_key || !self.had_key;
            (self.had_key, self.needs_key) = (true, false);
            // Pictures shown before an IDR picture refer to nothing behind it, and the pictures of
            // a gradual refresh come in the order they are shown.
            let open = !unit.refresh && unit.recovery.is_none_or(|pictures| pictures == 0);
            self.open = open.then_some(timestamp);
        } else if let Some(key_timestamp) = self.open {
            let before = timestamp.wrapping_sub(key_timestamp) > u32::MAX / 2;
            leading |= before;
            self.open = before.then_some(key_timestamp);
        }
        if leading && self.fresh {
            return None;
        }
        let usual = &mut self.usual[usize::from(key)];
        let len = unit.data.len();
        *usual = len.max(*usual - (*usual - len.min(*usual)) / 4);
        Some(Picture { params, key, leading, timestamp, received, data: unit.into_bytes() })
    }

    /// Notes that a picture cannot be given, nor what refers to it.
    pub(super) fn refuse(&mut self) {
        self.dropped += 1;
        self.needs_key = true;
    }

    /// Number of bytes to reserve for a picture.
    pub(super) fn room(&self, key: bool) -> usize {
        let usual = self.usual[usize::from(key)];
        usual + usual / 8 + 64
    }

    /// Number of pictures that a decoder must hold back, as the parameters in force say.
    pub(super) fn reorder_depth(&self) -> Option<usize> {
        self.force.as_ref()?.reorder_depth
    }

    fn is_key(&mut self, unit: &Unit) -> bool {
        let told = unit.refresh
            || match unit.recovery {
                // A recovery point that claims to be immediate is wrong if its picture refers to
                // others.
                Some(0) => unit.intra,
                Some(_) => true,
                None => false,
            };
        self.tells_keys |= told;
        let since = self.began.zip(unit.received);
        let age = since.map_or(Duration::ZERO, |(began, now)| now.saturating_duration_since(began));
        // The picture that comes nearest to a key picture must do, the better sign first.
        let nearest = (unit.recovery.is_some() || unit.in_band && unit.intra) && age >= KEYLESS
            || unit.intra && age >= 2 * KEYLESS;
        told || !self.tells_keys && nearest
    }

    /// The parameters of a picture that is to be given.
    fn params(&mut self, unit: &Unit, key: bool, sets: &mut Sets) -> Option<Arc<VideoParams>> {
        let sps = sets.sps_of(unit.pps)?.id;
        let current = match &self.force {
            Some(force) => !key || force.sps == sps && !sets.changed,
            None => false,
        };
        if !current {
            let (params, reorder_depth) = sets.params(sps)?;
            sets.settle();
            let same = self.force.take().map(|force| force.params).filter(|old| **old == params);
            let params = same.unwrap_or_else(|| Arc::new(params));
            self.force = Some(InForce { sps, params, reorder_depth });
        }
        Some(self.force.as_ref()?.params.clone())
    }
}
