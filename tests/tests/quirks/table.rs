//! The expected outcome of each quirk, by kind.

use ivt_media::frame::{AudioCodec, CLOCK_HZ};
use ivt_media::rtsp::Transport;

/// Marks a camera whose pictures get lost on the way, so that key pictures have no fixed distance.
pub const LOSSY: usize = usize::MAX;

/// The expected outcome of a camera.
#[derive(Clone, Copy, Debug)]
pub enum Outcome {
    /// All pictures come.
    Flows,
    /// The pull fails, for a reason with one of these words.
    Refused(&'static [&'static str]),
    /// Packets come but no picture; the opener tells in these words what it waits for.
    Awaits(&'static str),
}

#[derive(Clone, Copy, Debug)]
pub struct Row {
    pub quirk: &'static str,
    pub over: Transport,
    pub outcome: Outcome,
    /// Codec and rate of the sound that comes with the pictures.
    pub sound: Option<(AudioCodec, u32)>,
    /// Number of pictures to wait for.
    pub pictures: usize,
    /// Pictures from one key picture to the next; [`LOSSY`] where pictures are lost on the way.
    pub gop: usize,
    /// Time from one picture to the next, in ticks of 90 kHz.
    pub step: i64,
    /// Number of sets of parameters that are seen.
    pub sets: usize,
    /// Number of connections that are made.
    pub connections: u64,
    /// Whether the times must follow the arrival from the sixth second on.
    pub clocked: bool,
}

const fn flows(quirk: &'static str) -> Row {
    Row {
        quirk,
        over: Transport::Tcp,
        outcome: Outcome::Flows,
        sound: Some((AudioCodec::Aac, 16_000)),
        pictures: 50,
        gop: 15,
        step: CLOCK_HZ / 15,
        sets: 1,
        connections: 1,
        clocked: false,
    }
}

const fn refused(quirk: &'static str, words: &'static [&'static str]) -> Row {
    Row { outcome: Outcome::Refused(words), ..flows(quirk) }
}

impl Row {
    const fn over(self, over: Transport) -> Self {
        Self { over, ..self }
    }

    const fn mute(self) -> Self {
        Self { sound: None, ..self }
    }

    const fn with(self, codec: AudioCodec, rate: u32) -> Self {
        Self { sound: Some((codec, rate)), ..self }
    }

    const fn lossy(self) -> Self {
        Self { gop: LOSSY, ..self }
    }

    /// The same with this number of connections.
    const fn dials(self, connections: u64) -> Self {
        Self { connections, ..self }
    }

    /// The same for a time that holds two keepalives of a session of three seconds.
    const fn long(self) -> Self {
        Self { pictures: 120, ..self }
    }

    /// The same for a clip of 25 pictures a second with a key picture every 20.
    const fn fast(self) -> Self {
        Self { gop: 20, step: CLOCK_HZ / 25, pictures: 80, ..self }
    }

    const fn clocked(self) -> Self {
        Self { pictures: 200, clocked: true, ..self }
    }
}

pub const SDP: &[Row] = &[
    flows("sprop_semi"),
    flows("sprop_annexb"),
    flows("sprop_bad"),
    flows("sprop_only"),
    flows("sdp_bare").mute(),
    flows("sdp_cin").mute(),
    flows("sdp_oaddr"),
    flows("sdp_null").mute(),
    flows("sdp_macro").mute(),
    flows("sdp_nul"),
    flows("sdp_cr"),
    flows("sdp_spaces"),
    flows("sdp_latin"),
    flows("sdp_upper"),
    flows("sdp_order"),
    flows("sdp_two_formats"),
    flows("sdp_no_control").mute(),
    flows("ctype_charset"),
    flows("ctype_missing"),
    flows("clock30000"),
    flows("sdp_no_equals"),
    Row { outcome: Outcome::Awaits("parameter sets"), ..flows("sprop_none") },
    refused("mjpeg", &["JPEG", "jpeg"]),
    refused("sdp_no_format", &["no stream", "offers"]),
    refused("sdp_empty", &["no stream", "offers", "SDP", "description"]),
];

pub const RTSP: &[Row] = &[
    flows("session_late"),
    flows("session_never"),
    flows("session_empty"),
    flows("no_transport"),
    flows("no_interleaved"),
    flows("other_channels"),
    flows("same_channel"),
    flows("ssrc_first"),
    flows("ssrc_wrong"),
    flows("redirect").dials(2),
    flows("redirect_chain").dials(4),
    flows("redirect_host").dials(2),
    flows("busy").dials(3),
    flows("slow_describe=6"),
    flows("late_first=11"),
    flows("rtpinfo_rel"),
    flows("rtpinfo_empty"),
    flows("rtpinfo_wrong"),
    flows("base_noscheme"),
    flows("base_wrong"),
    flows("cam_request=1"),
    flows("cam_announce=1"),
    flows("cseq_zero"),
    flows("cseq_missing"),
    flows("headers_lower"),
    flows("headers_spaced"),
    flows("headers_folded"),
    flows("headers_lf"),
    flows("headers_bare"),
    flows("packets_early"),
    refused("redirect_loop", &["redirect"]),
    refused("redirect_http", &["redirect", "http"]),
    refused("web_server", &["web server", "HTTP"]),
];

pub const KEEPALIVE: &[Row] = &[
    flows("timeout10=3").long(),
    flows("ka_off_by_one=3").long(),
    flows("ka_set_only=3").long(),
    flows("ka_never=3").long(),
    flows("ka_454=3").long(),
    flows("ka_get_mute=3").long(),
    flows("ka_mid_burst=3").long(),
    flows("public_absent=3").long(),
    flows("nonce_keepalive=3").long(),
    // Each keepalive ends the connection, which is opened anew at once.
    flows("ka_454_close=5").long().lossy().dials(8),
];

pub const LOGIN: &[Row] = &[
    flows("nonce_setup"),
    flows("auth_both"),
    flows("auth_basic_first"),
    flows("auth_basic_realm"),
    flows("auth_sha256"),
    flows("auth_dual"),
    flows("auth_dual_md5first"),
    flows("auth_dual_md5only"),
    flows("auth_qop"),
    flows("auth_qop_sha256"),
    flows("auth_sess"),
    flows("auth_lower"),
    flows("auth_options"),
];

pub const RTP: &[Row] = &[
    flows("ssrc_gop"),
    flows("midframe"),
    flows("zero_payload=0.5"),
    flows("padding_only=0.5"),
    flows("padding_bad=0.5"),
    flows("rtcp_on_data=0.5"),
    flows("rtcp_short=0.5"),
    flows("foreign_type=0.5"),
    flows("seq_reset=1"),
    flows("seq_dup"),
    flows("seq_frozen"),
    flows("tcp_loss").lossy(),
    flows("rtp_ext"),
    flows("rtp_short=0.5"),
    flows("stray_channels=0.5"),
    flows("empty_packets=0.5"),
    flows("no_reports"),
];

pub const UDP: &[Row] = &[
    flows("udp_noport").over(Transport::Udp),
    flows("udp_otherport").over(Transport::Udp),
    flows("udp_reorder").over(Transport::Udp).long(),
    flows("udp_reorder_rare").over(Transport::Udp).clocked(),
    flows("udp_dup").over(Transport::Udp),
    flows("ssrc_gop").over(Transport::Udp),
    flows("padding_only=0.5").over(Transport::Udp),
    flows("no_reports").over(Transport::Auto),
    flows("udp_461").over(Transport::Auto),
    flows("tcp_461").over(Transport::Auto).dials(2),
    refused("udp_461", &["tcp"]).over(Transport::Udp),
    refused("tcp_461", &["udp"]).over(Transport::Tcp),
];

pub const VIDEO: &[Row] = &[
    flows("sei_mark"),
    flows("aud_mark"),
    flows("filler_mark"),
    flows("marker_slices").mute(),
    flows("marker_never"),
    flows("slices_ok").mute(),
    flows("fua_empty"),
    flows("fua_both"),
    flows("fua_mark_early"),
    flows("fua_no_start"),
    flows("annexb_start"),
    flows("annexb_whole"),
    flows("stap_a"),
    flows("stap_bad"),
    flows("nal_unknown"),
    flows("two_pps"),
    flows("no_idr").mute(),
    flows("bframes").fast(),
    Row { pictures: 150, sets: 2, ..flows("sps_change") },
    flows("hevc_ap").fast(),
    // The first group of pictures has no leading pictures.
    flows("hevc_cra").fast(),
    flows("hevc_mark").fast(),
    flows("bigkey"),
];

pub const TIME: &[Row] = &[
    flows("ts_hours").clocked(),
    flows("ts_future").clocked(),
    flows("ts_frozen").clocked(),
    flows("ts_frozen_nomark").clocked(),
    flows("ts_millis").clocked(),
    flows("ts_fast").clocked(),
    flows("fps_lies").clocked(),
    flows("ts_jump").clocked(),
    flows("ts_back").clocked(),
    flows("ts_wrap").clocked(),
    flows("aac_half").clocked(),
    flows("aac_clock90k").clocked(),
    flows("reports_wrong").clocked(),
];

pub const SOUND: &[Row] = &[
    flows("aac_fmtp_pt"),
    flows("aac_rate"),
    flows("aac_nomark"),
    flows("aac_fragments"),
    flows("aac_packed"),
    flows("aac_interleaved"),
    flows("aac_bad_headers"),
    flows("aac_latm"),
    flows("pcma").with(AudioCodec::Pcma, 8000),
    flows("g711_16k").with(AudioCodec::Pcmu, 8000),
    flows("g726").mute(),
    flows("mp2").mute(),
    flows("backchannel"),
    flows("sound_refused").mute(),
    flows("sound_late=2"),
];

pub const HOSTILE: &[Row] = &[
    refused("sdp_huge", &[""]),
    refused("sdp_many_media", &[""]),
    refused("header_endless", &[""]),
    refused("headers_many", &[""]),
    refused("length_huge", &[""]),
    refused("unit_endless", &[""]),
];
