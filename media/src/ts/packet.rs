//! Writes transport packets into chunks of 64 KiB.

use bytes::Bytes;

use crate::ts::pes;

/// Bytes in a transport packet.
pub const PACKET: usize = 188;
/// Bytes in a transport packet after its header.
const BODY: usize = PACKET - 4;
/// Bytes of as many packets as 64 KiB hold.
const CHUNK: usize = 65_536 / PACKET * PACKET;
const SYNC: u8 = 0x47;

/// Transport packets that were written and not taken yet.
#[derive(Debug, Default)]
pub struct Packets {
    full: Vec<Vec<u8>>,
    chunk: Vec<u8>,
}

/// One PID and its continuity counter.
#[derive(Debug)]
pub struct Lane {
    pid: u16,
    /// Continuity counter of the next packet with a payload.
    counter: u8,
}

/// What the adaptation field of a PES packet's first transport packet says.
#[derive(Clone, Copy, Debug, Default)]
pub struct Marks {
    /// Clock reference in 90 kHz ticks, which is cut to 33 bits.
    pub pcr: Option<i64>,
    /// Whether a decoder may start here.
    pub random_access: bool,
    /// Whether the time base is a new one.
    pub discontinuity: bool,
}

/// A PES packet being written. Exactly the length given at its beginning must be put into it.
pub struct PesWriter<'a> {
    out: &'a mut Packets,
    lane: &'a mut Lane,
    /// Bytes of the unit not yet put.
    left: usize,
    /// Bytes that still fit into the transport packet.
    room: usize,
}

impl Packets {
    /// Bytes written and not yet taken.
    pub fn len(&self) -> usize {
        self.full.iter().map(Vec::len).sum::<usize>() + self.chunk.len()
    }

    /// Appends a whole packet.
    pub fn put(&mut self, packet: &[u8; PACKET]) {
        self.chunk().extend_from_slice(packet);
    }

    /// Replaces the first packets, which were only placeholders.
    pub fn put_first(&mut self, packets: &[[u8; PACKET]]) {
        let first = self.full.first_mut().unwrap_or(&mut self.chunk);
        for (place, packet) in first.chunks_exact_mut(PACKET).zip(packets) {
            place.copy_from_slice(packet);
        }
    }

    /// Appends a packet without payload that carries the clock.
    pub fn put_clock(&mut self, lane: &Lane, marks: Marks) {
        let counter = lane.counter.wrapping_sub(1);
        let chunk = self.chunk();
        chunk.extend_from_slice(&header(lane.pid, false, 0x20, counter));
        marks.put(chunk, BODY);
    }

    /// Begins a PES packet of `len` bytes, its header included.
    pub fn unit<'a>(&'a mut self, lane: &'a mut Lane, len: usize, marks: Marks) -> PesWriter<'a> {
        let mut unit = PesWriter { out: self, lane, left: len, room: 0 };
        unit.next(true, marks);
        unit
    }

    /// Takes all packets. No chunk holds more memory than its bytes need.
    pub fn take(&mut self) -> Vec<Bytes> {
        let mut last = std::mem::take(&mut self.chunk);
        last.shrink_to_fit();
        self.full.push(last);
        std::mem::take(&mut self.full).into_iter().map(Bytes::from).collect()
    }

    /// A chunk with room for a packet.
    fn chunk(&mut self) -> &mut Vec<u8> {
        if self.chunk.capacity() - self.chunk.len() < PACKET {
            let full = std::mem::replace(&mut self.chunk, Vec::with_capacity(CHUNK));
            if !full.is_empty() {
                self.full.push(full);
            }
        }
        &mut self.chunk
    }
}

impl Lane {
    /// A PID without packets yet.
    pub fn new(pid: u16) -> Self {
        Self { pid, counter: 0 }
    }

    /// The header of a packet that holds nothing but payload.
    pub fn header(&mut self, starts: bool) -> [u8; 4] {
        header(self.pid, starts, 0x10, self.step())
    }

    fn step(&mut self) -> u8 {
        let counter = self.counter;
        self.counter = counter.wrapping_add(1);
        counter
    }
}

impl Marks {
    /// Transport packets that a PES packet of `len` bytes takes.
    pub fn packets(self, len: usize) -> usize {
        1 + len.saturating_sub(BODY - self.len()).div_ceil(BODY)
    }

    /// Bytes of the adaptation field without stuffing.
    fn len(self) -> usize {
        match self.pcr {
            Some(_) => 8,
            None if self.random_access || self.discontinuity => 2,
            None => 0,
        }
    }

    /// Writes the adaptation field, stuffed to `len` bytes.
    fn put(self, out: &mut Vec<u8>, len: usize) {
        let end = out.len() + len;
        out.push((len - 1) as u8);
        if len > 1 {
            let pcr = self.pcr.is_some();
            let flags = [(self.discontinuity, 0x80), (self.random_access, 0x40), (pcr, 0x10)];
            out.push(flags.iter().filter(|(set, _)| *set).map(|(_, bit)| bit).sum());
        }
        if let Some(pcr) = self.pcr {
            // A clock reference has 33 bits, 6 reserved ones, and 9 of the 27 MHz extension.
            let [.., a, b, c, d, e, f] = (pes::wrap(pcr) << 15 | 0x7e00).to_be_bytes();
            out.extend_from_slice(&[a, b, c, d, e, f]);
        }
        out.resize(end, 0xff);
    }
}

impl PesWriter<'_> {
    /// Writes the next bytes of the unit.
    pub fn put(&mut self, mut bytes: &[u8]) {
        loop {
            let (now, later) = bytes.split_at(self.room.min(bytes.len()));
            self.out.chunk.extend_from_slice(now);
            self.room -= now.len();
            self.left -= now.len();
            if later.is_empty() {
                return;
            }
            self.next(false, Marks::default());
            bytes = later;
        }
    }

    /// Begins a transport packet.
    fn next(&mut self, starts: bool, marks: Marks) {
        let counter = self.lane.step();
        let field = marks.len().max(BODY - self.left.min(BODY));
        let chunk = self.out.chunk();
        if field == 0 {
            chunk.extend_from_slice(&header(self.lane.pid, starts, 0x10, counter));
        } else {
            chunk.extend_from_slice(&header(self.lane.pid, starts, 0x30, counter));
            marks.put(chunk, field);
        }
        self.room = BODY - field;
    }
}

fn header(pid: u16, starts: bool, control: u8, counter: u8) -> [u8; 4] {
    let [high, low] = pid.to_be_bytes();
    [SYNC, if starts { 0x40 } else { 0 } | high, low, control | counter & 0xf]
}
