//! One track of a timeline.

use super::chord::{Chord, LEVEL, Leads};
use super::lead::{Known, LEARNING, Lead, SPARE};
use super::pace::Pace;
use super::rate::Rate;
use super::servo::Servo;
use super::{MS, TOLERANCE, near};
use crate::frame::CLOCK_HZ;

/// Longest step forward, in ticks, that needs no explanation.
const MAX_STEP: i64 = CLOCK_HZ * 7 / 10;
/// A frame that is this many ticks later than the one before is placed by the arrival clock.
const LULL: i64 = CLOCK_HZ;
/// Frame duration in ticks that is assumed before one was seen.
const DEFAULT_STEP: i64 = CLOCK_HZ / 25;
/// Number of frames after a jump that make it believed.
const CONFIRMED: u8 = 4;
/// Shortest step, in ticks, that may be a clock set forward.
const LEAST_LEAP: i64 = 150 * MS;
/// Number of frames that a clock is judged by: it is noise if a quarter of them is out of line.
const JUDGED: u8 = 12;
/// Longest step, in ticks, of a clock that is only watched and not used.
const MAX_WATCHED: i64 = 10 * CLOCK_HZ;
/// How often a network that passed for a slow clock makes the judge more patient.
const MAX_PATIENCE: usize = 4;
/// Longest time, in ticks, from decoding to presentation.
const MAX_SHOWN: i64 = 20 * CLOCK_HZ;

/// The times of a frame as it comes, in ticks.
#[derive(Clone, Copy)]
pub struct Arriving {
    /// Decode time by the source.
    pub raw: i64,
    /// By how much presentation is later than decoding.
    pub shown: i64,
    /// When the frame arrived.
    pub now: i64,
}

/// A time of the source, and where it lies on the timeline.
#[derive(Clone, Copy)]
pub struct Anchor {
    /// Time by the source.
    pub raw: i64,
    /// Time on the timeline.
    pub line: i64,
}

/// Newest frame and lead of a track, for the other track. `None` before the track has begun in this
/// source.
pub type Fellow = Option<(Anchor, Known)>;

/// What is known of a track. Leads are of presentation times, since a decode time is not when a
/// picture was taken.
#[derive(Clone, Copy, Default)]
pub struct Track {
    /// Place of the newest frame on the timeline, and when it came.
    placed: Option<(i64, i64)>,
    /// Place of the newest frame before it had to be later than the frame before it; `None` at the
    /// start of a source.
    at: Option<Anchor>,
    /// The newest frame before the last jump or stop: B-frames may come from before it, and
    /// outliers return.
    former: Option<Anchor>,
    /// Whether the newest frame repeated the time of the one before.
    frozen: bool,
    /// Frames since a jump that is not believed yet; 0 without one.
    jumped: u8,
    /// Whether the jump is told once it is believed: the other track has not met it before.
    telling: bool,
    /// Duration of a frame by the clock.
    step: Option<i64>,
    /// Duration of a frame by arrival.
    interval: i64,
    /// What the source's steps are multiplied with.
    rate: Rate,
    /// Corrections so far: the timeline minus the rescaled clock.
    slip: i64,
    lead: Lead,
    leads: Leads,
    servo: Servo,
    /// Paces the track by arrival, where the clock is noise.
    pace: Option<Pace>,
    /// Number of frames that are being judged.
    judged: u8,
    /// Number of the judged frames that were out of line.
    odd: u8,
    doubt: Option<Doubt>,
    /// How often a network passed for a slow clock.
    patience: usize,
}

/// A clock that was called slow, although perhaps the network was.
#[derive(Clone, Copy)]
struct Doubt {
    /// Time that the clock would tell now if it was right.
    time: i64,
    /// Best lead of the clock before. A slow clock never comes back to it.
    best: i64,
}

impl Track {
    /// Place of the newest frame on the timeline, and its arrival.
    pub fn placed(&self) -> Option<(i64, i64)> {
        self.placed
    }

    /// The lead that the track keeps, once it is learned.
    pub fn goal(&self) -> Option<i64> {
        (self.at.is_some() && self.lead.settled).then_some(self.lead.goal)
    }

    /// What the other track may know.
    pub fn as_fellow(&self) -> Fellow {
        let steady = self.lead.settled && self.pace.is_none() && self.leads.is_level();
        self.at.map(|at| (at, Known { lead: self.lead, steady }))
    }

    /// Forgets the source.
    pub fn reopen(&mut self) {
        *self = Self { placed: self.placed, step: self.step, ..Self::default() };
    }

    /// Places the first frame of a source at `line`, by a clock that is `shared` with the other
    /// track or not. Earlier sources kept the lead `aim`.
    pub fn join(&mut self, line: i64, shared: bool, aim: Option<i64>, arriving: &Arriving) {
        self.at = Some(Anchor { raw: arriving.raw, line });
        self.interval = self.step.unwrap_or(DEFAULT_STEP);
        self.lead = Lead::new(arriving.now, self.lead_of(arriving), shared, aim);
    }

    /// Places a frame after another of the source. True when it shows that the clock was set.
    pub fn follow(&mut self, fellow: &Fellow, arriving: &Arriving) -> bool {
        let (Some(at), Some((dts, since))) = (self.at, self.placed) else { return false };
        let elapsed = arriving.now.saturating_sub(since).max(0);
        let told = arriving.raw.saturating_sub(at.raw);
        let paced = self.pace.is_some();
        let (line, in_line) = match paced {
            true => self.by_arrival(at, told, arriving),
            false => self.by_clock(at, dts, elapsed, fellow, arriving),
        };
        self.at = Some(Anchor { raw: arriving.raw, line });
        self.interval += (elapsed.min(LULL) - self.interval) / 16;
        let step = line.saturating_sub(at.line);
        if let Some(doubt) = &mut self.doubt {
            doubt.time = doubt.time.saturating_add(if in_line { told } else { step });
        }
        if !paced {
            self.correct(step, elapsed, arriving);
        }
        self.judge(in_line, fellow);
        self.learn(fellow, arriving);
        let believed = self.jumped > CONFIRMED;
        if believed {
            self.jumped = 0;
        }
        believed && self.telling
    }

    /// Decode and presentation time of the frame that joined or followed.
    pub fn put(&mut self, arriving: &Arriving) -> (i64, i64) {
        let line = self.at.map_or(0, |at| at.line);
        let earliest = self.placed.map_or(0, |(dts, _)| dts.saturating_add(1));
        let dts = line.max(earliest);
        self.placed = Some((dts, arriving.now));
        (dts, line.saturating_add(self.shown(arriving)).max(dts))
    }

    /// Where a frame belongs by its clock, and whether the clock goes on as it should.
    fn by_clock(
        &mut self,
        at: Anchor,
        dts: i64,
        elapsed: i64,
        fellow: &Fellow,
        arriving: &Arriving,
    ) -> (i64, bool) {
        let raw = arriving.raw;
        let told = raw.saturating_sub(at.raw);
        if told == 0 {
            // A clock that stands still tells nothing, so arrival takes its place.
            if !std::mem::replace(&mut self.frozen, true) {
                self.former = Some(at);
            }
            return (at.line.saturating_add(elapsed.max(1)), false);
        }
        if std::mem::take(&mut self.frozen)
            && let Some(line) = self.former.map(|former| self.seen_from(former, raw))
            && near(line, at.line.saturating_add(elapsed), TOLERANCE)
        {
            return (line, true);
        }
        let delta = self.rate.scaled(told);
        let step = self.step.unwrap_or(DEFAULT_STEP);
        let short = delta <= MAX_STEP.max(3 * step) || near(delta, elapsed, TOLERANCE);
        if told > 0 && short && !self.leaps(at, delta, arriving) {
            if delta > MS {
                // Without this bound each step might be three times the one before.
                let delta = delta.min(MAX_STEP);
                self.step = Some(self.step.map_or(delta, |step| step + (delta - step) / 4));
            }
            self.jumped = self.jumped.saturating_add(u8::from(self.jumped > 0));
            return (at.line.saturating_add(self.rate.advance(told)), true);
        }
        // The clock was set, most likely between two frames.
        let expected = dts.saturating_add(if elapsed > LULL { elapsed } else { step });
        let plain = at.line.saturating_add(delta);
        let fits = |line: &i64| {
            near(*line, expected, TOLERANCE) && *line > dts && !near(*line, plain, LEVEL)
        };
        let former = self.former.replace(at).map(|former| self.seen_from(former, raw)).filter(fits);
        // The other track may have met the same jump already; an exact copy keeps them together.
        let copied = fellow.as_ref().map(|(other, _)| self.seen_from(*other, raw)).filter(fits);
        let returned = former.is_some() && self.jumped > 0;
        self.jumped = u8::from(!returned);
        self.telling = copied.is_none() && (told < 0 || !short);
        (former.or(copied).unwrap_or(expected), false)
    }

    /// Where a frame belongs by its arrival. Its clock is only watched: the answer tells whether
    /// the clock went on as clocks do.
    fn by_arrival(&mut self, at: Anchor, told: i64, arriving: &Arriving) -> (i64, bool) {
        let Some(pace) = &mut self.pace else { return (at.line, false) };
        let step = pace.step(at.line, self.lead.goal.saturating_add(arriving.now));
        let watched = self.rate.scaled(told);
        let in_line = (1..=MAX_WATCHED).contains(&watched);
        self.slip = self.slip.saturating_add(step - if in_line { watched } else { 0 });
        (at.line.saturating_add(step), in_line)
    }

    /// Whether a step forward is a jump of the clock: after a hole in the stream, a frame is no
    /// earlier than others.
    fn leaps(&self, at: Anchor, delta: i64, arriving: &Arriving) -> bool {
        let step = self.step.unwrap_or(DEFAULT_STEP);
        let shown = at.line.saturating_add(delta).saturating_add(self.shown(arriving));
        let lead = shown.saturating_sub(arriving.now);
        delta > LEAST_LEAP.max(3 * step) && lead > self.lead.goal.saturating_add(SPARE)
    }

    /// Adds what is owed to a step of the timeline, and takes from it what no delay explains.
    fn correct(&mut self, step: i64, elapsed: i64, arriving: &Arriving) {
        let owed = self.servo.pay(step);
        self.shift(owed);
        let lead = self.lead_of(arriving);
        let excess = lead.saturating_sub(self.lead.ceiling(lead, arriving.now, elapsed));
        if excess > 0 {
            let cut = excess.min(step / 4 * 3).max(0);
            self.servo.forgive(cut);
            self.shift(-cut);
        }
    }

    /// Judges by many frames whether the clock is noise.
    fn judge(&mut self, in_line: bool, fellow: &Fellow) {
        self.judged += 1;
        self.odd += u8::from(!in_line);
        if !in_line && self.pace.is_some() {
            self.leads.clear();
        }
        if self.judged < JUDGED {
            return;
        }
        if self.odd >= JUDGED / 4 && self.pace.is_none() {
            self.pace = Some(Pace::new(self.interval));
            self.servo.order(0, false);
            self.leads.clear();
            (self.doubt, self.jumped, self.frozen) = (None, 0, false);
            if !self.lead.settled {
                self.lead.relearn(None, fellow.as_ref().map(|(_, known)| known));
            }
        }
        (self.judged, self.odd) = (0, 0);
    }

    /// Learns from a frame that has its place.
    fn learn(&mut self, fellow: &Fellow, arriving: &Arriving) {
        let known = fellow.as_ref().map(|(_, known)| known);
        let lead = self.lead_of(arriving);
        let gap = LULL.max(4 * self.interval);
        if self.leads.note(arriving.now, lead.saturating_sub(self.slip), gap)
            && let Some(chord) = self.leads.chord(self.patience, !self.rate.is_one())
            && (chord.wrong || self.pace.is_some())
        {
            self.rescale(&chord, known, arriving);
        }
        if self.doubt.is_some_and(|doubt| {
            let time = doubt.time.saturating_add(arriving.shown).saturating_sub(arriving.now);
            time >= doubt.best - LEVEL
        }) {
            self.absolve(arriving);
        }
        let change = self.lead.adopt(known);
        if self.pace.is_some() {
            return;
        }
        self.servo.add(change);
        if self.lead.settled {
            self.servo.note(arriving.now, lead, self.lead.goal, self.leads.noise());
        } else if arriving.now.saturating_sub(self.lead.first) >= LEARNING {
            let owed = self.lead.settle(known);
            self.servo.order(owed, owed.saturating_abs() > SPARE);
        }
    }

    /// Corrects the rate of a clock that is wrong, or that can be used again.
    fn rescale(&mut self, chord: &Chord, known: Option<&Known>, arriving: &Arriving) {
        let was_right = self.rate.is_one() && self.pace.is_none();
        let time = self.lead_of(arriving).saturating_sub(self.slip).saturating_add(arriving.now);
        let mut since = time.saturating_sub(chord.to.lead.saturating_add(chord.to.now));
        if chord.wrong {
            let (arrival, told) = chord.spans();
            since = since.saturating_mul(arrival) / told;
            self.rate.correct(arrival, told);
        }
        if was_right && chord.from.now.saturating_sub(self.lead.first) <= LEARNING {
            let lead = chord.lead_at(self.lead.first).min(self.lead.goal);
            self.lead.relearn(Some(lead), known);
        }
        if was_right && chord.rise() < 0 {
            let best = self.leads.best().unwrap_or(chord.from.lead);
            self.doubt = Some(Doubt { time: time.saturating_sub(arriving.shown), best });
        }
        self.pace = None;
        self.leads.clear();
        (self.judged, self.odd) = (0, 0);
        // The lead is seen from the newest point, which was delayed least.
        let lead = self.lead.goal.saturating_add(chord.to.now).saturating_add(since);
        let owed = lead.saturating_sub(arriving.now).saturating_sub(self.lead_of(arriving));
        let fast = chord.rise().saturating_abs() >= chord.spans().0 / 100;
        self.servo.order(owed, fast || owed.saturating_abs() > SPARE);
    }

    /// Goes back to a clock that was right when it was called slow.
    fn absolve(&mut self, arriving: &Arriving) {
        (self.rate, self.doubt) = (Rate::default(), None);
        self.patience = (self.patience + 1).min(MAX_PATIENCE);
        self.leads.clear();
        let owed = self.lead.goal.saturating_sub(self.lead_of(arriving));
        self.servo.order(owed, owed.saturating_abs() > SPARE);
    }

    /// Moves the track, and with it where it would return to.
    fn shift(&mut self, ticks: i64) {
        self.slip = self.slip.saturating_add(ticks);
        for anchor in [&mut self.at, &mut self.former].into_iter().flatten() {
            anchor.line = anchor.line.saturating_add(ticks);
        }
    }

    /// Presentation time of the newest frame minus its arrival.
    fn lead_of(&self, arriving: &Arriving) -> i64 {
        let line = self.at.map_or(0, |at| at.line);
        line.saturating_add(self.shown(arriving)).saturating_sub(arriving.now)
    }

    /// By how much a frame's presentation is later on the timeline. Noise tells nothing of it.
    fn shown(&self, arriving: &Arriving) -> i64 {
        if self.pace.is_some() { 0 } else { self.rate.scaled(arriving.shown).clamp(0, MAX_SHOWN) }
    }

    fn seen_from(&self, anchor: Anchor, raw: i64) -> i64 {
        anchor.line.saturating_add(self.rate.scaled(raw.saturating_sub(anchor.raw)))
    }
}
