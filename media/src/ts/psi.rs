//! Writes the tables that say what the stream holds, each in one packet.

use crate::frame::VideoCodec;
use crate::ts::packet::{Lane, PACKET};
use crate::ts::pid;

const PROGRAM: u16 = 1;
const PAT: u8 = 0;
const PMT: u8 = 2;
const H264: u8 = 0x1b;
const H265: u8 = 0x24;
const AAC_IN_ADTS: u8 = 0x0f;

/// The streams of the program; at least one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Program {
    /// Compression of the pictures, if there are any.
    pub video: Option<VideoCodec>,
    /// Whether there is sound.
    pub audio: bool,
}

/// PAT and PMT of one program.
#[derive(Debug)]
pub struct Tables {
    pat: Lane,
    pmt: Lane,
    program: Option<Program>,
    version: u8,
}

impl Tables {
    /// Tables of no program yet.
    pub fn new() -> Self {
        Self { pat: Lane::new(pid::PAT), pmt: Lane::new(pid::PMT), program: None, version: 0 }
    }

    /// The packets of PAT and PMT. A program other than before gets a new version.
    pub fn packets(&mut self, program: Program) -> [[u8; PACKET]; 2] {
        if self.program.is_some_and(|before| before != program) {
            self.version = (self.version + 1) & 0x1f;
        }
        self.program = Some(program);
        let mut entry = [0; 4];
        entry[..2].copy_from_slice(&PROGRAM.to_be_bytes());
        entry[2..].copy_from_slice(&reserved(3, pid::PMT));
        let pat = packet(self.pat.header(true), PAT, PROGRAM, 0, &entry);
        [pat, packet(self.pmt.header(true), PMT, PROGRAM, self.version, &map(program))]
    }
}

/// The content of a PMT: PID of the clock and elementary streams, without descriptors.
fn map(program: Program) -> Vec<u8> {
    let clock = if program.video.is_some() { pid::VIDEO } else { pid::AUDIO };
    let mut map = [reserved(3, clock), reserved(4, 0)].concat();
    let video = program.video.map(|codec| match codec {
        VideoCodec::H264 => (H264, pid::VIDEO),
        VideoCodec::H265 => (H265, pid::VIDEO),
    });
    let audio = program.audio.then_some((AAC_IN_ADTS, pid::AUDIO));
    for (kind, pid) in video.into_iter().chain(audio) {
        map.push(kind);
        map.extend([reserved(3, pid), reserved(4, 0)].concat());
    }
    map
}

/// A section alone in its packet.
fn packet(header: [u8; 4], table: u8, id: u16, version: u8, data: &[u8]) -> [u8; PACKET] {
    // The length counts id, version, section numbers, data and CRC.
    let [high, low] = (0xb000 | (5 + data.len() + 4) as u16).to_be_bytes();
    let [id_high, id_low] = id.to_be_bytes();
    let mut section = vec![table, high, low, id_high, id_low, 0xc1 | version << 1, 0, 0];
    section.extend_from_slice(data);
    section.extend(crc32(&section).to_be_bytes());
    let mut packet = [0xff; PACKET];
    packet[..4].copy_from_slice(&header);
    packet[4] = 0; // The section begins right here.
    packet[5..5 + section.len()].copy_from_slice(&section);
    packet
}

/// A number of 16 bits whose top `bits` are reserved ones.
fn reserved(bits: u32, value: u16) -> [u8; 2] {
    (!(0xffff >> bits) | value).to_be_bytes()
}

/// CRC-32/MPEG-2. It is computed once a group, so there is no table.
fn crc32(bytes: &[u8]) -> u32 {
    bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte) << 24, |crc, _| {
            if crc >> 31 == 1 { crc << 1 ^ 0x04c1_1db7 } else { crc << 1 }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_check_value_of_the_crc_is_right() {
        assert_eq!(crc32(b"123456789"), 0x0376_e6e7);
    }

    #[test]
    fn only_another_program_gets_another_version() {
        let mut tables = Tables::new();
        let both = Program { video: Some(VideoCodec::H264), audio: true };
        let mut version = |program| tables.packets(program)[1][10] >> 1 & 0x1f;
        assert_eq!([version(both), version(both)], [0, 0]);
        let silent = Program { audio: false, ..both };
        assert_eq!([version(silent), version(silent), version(both)], [1, 1, 2]);
        for _ in 0..15 {
            version(silent);
            version(both);
        }
        assert_eq!(version(both), 0, "five bits");
    }
}
