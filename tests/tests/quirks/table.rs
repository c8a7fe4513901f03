//! What must come of each quirk, by its kind.

use ivt_media::frame::{AudioCodec, CLOCK_HZ};
use ivt_media::rtsp::Transport;

/// The distance of key pictures where pictures are lost on the way.
pub const LOSSY: usize = usize::MAX;

/// What must come of a camera.
#[derive(Clone, Copy, Debug)]
pub enum Outcome {
    /// Pictures, all of them.
    Flows,
    /// The pull fails, and the reason has one of these words.
    Refused(&'static [&'static str]),
    /// Packets come and no picture; the opener says what it waits for in these words.
    Awaits(&'static str),
}

#[derive(Clone, Copy, Debug)]
pub struct Row {
    pub quirk: &'static str,
    pub over: Transport,
    pub outcome: Outcome,
    /// The sound that comes with the pictures.
    pub sound: Option<(AudioCodec, u32)>,
    /// Pictures to wait for.
    pub pictures: usize,
    /// From one key picture to the next; [`LOSSY`] where pictures are lost on the way.
    pub gop: usize,
    /// From one picture to the next, ticks.
    pub step: i64,
    /// Sets of parameters that are seen.
    pub sets: usize,
    /// Connections it takes.
    pub connections: u64,
    /// The times must follow the arrival, from the sixth second on.
    pub clocked: bool,
    pub passes_today: bool,
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
        passes_today: true,
    }
}

const fn refused(quirk: &'static str, words: &'static [&'static str]) -> Row {
    Row { outcome: Outcome::Refused(words), ..flows(quirk) }
}

impl Row {
    const fn not_yet(self) -> Self {
        Self { passes_today: false, ..self }
    }

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

    /// So many connections are needed.
    const fn dials(self, connections: u64) -> Self {
        Self { connections, ..self }
    }

    /// Long enough for two keepalives of a session of three seconds.
    const fn long(self) -> Self {
        Self { pictures: 120, ..self }
    }

    /// A clip of 25 pictures a second with a key picture every 20.
    const fn fast(self) -> Self {
        Self { gop: 20, step: CLOCK_HZ / 25, pictures: 80, ..self }
    }

    const fn clocked(self) -> Self {
        Self { pictures: 200, clocked: true, ..self }
    }
}

pub const SDP: &[Row] = &[
    flows("sprop_semi").not_yet(),
    flows("sprop_annexb"),
    flows("sprop_bad"),
    flows("sprop_only"),
    flows("sdp_bare").mute().not_yet(),
    flows("sdp_cin").mute().not_yet(),
    flows("sdp_oaddr").not_yet(),
    flows("sdp_null").mute(),
    flows("sdp_macro").mute(),
    flows("sdp_nul"),
    flows("sdp_cr").not_yet(),
    flows("sdp_spaces").not_yet(),
    flows("sdp_latin").not_yet(),
    flows("sdp_upper"),
    flows("sdp_order"),
    flows("sdp_two_formats").not_yet(),
    flows("sdp_no_control").mute(),
    flows("ctype_charset").not_yet(),
    flows("ctype_missing"),
    flows("clock30000").not_yet(),
    flows("sdp_no_equals").not_yet(),
    Row { outcome: Outcome::Awaits("parameter sets"), ..flows("sprop_none") }.not_yet(),
    refused("mjpeg", &["JPEG", "jpeg"]),
    refused("sdp_no_format", &["no stream", "offers"]).not_yet(),
    refused("sdp_empty", &["no stream", "offers", "SDP", "description"]),
];

pub const RTSP: &[Row] = &[
    flows("session_late").not_yet(),
    flows("session_never").not_yet(),
    flows("session_empty").not_yet(),
    flows("no_transport").not_yet(),
    flows("no_interleaved").not_yet(),
    flows("other_channels"),
    flows("same_channel").not_yet(),
    flows("ssrc_first"),
    flows("ssrc_wrong").not_yet(),
    flows("redirect").dials(2).not_yet(),
    flows("redirect_chain").dials(4).not_yet(),
    flows("redirect_host").dials(2).not_yet(),
    flows("busy").dials(3),
    flows("slow_describe=6").not_yet(),
    flows("late_first=11").not_yet(),
    flows("rtpinfo_rel"),
    flows("rtpinfo_empty").not_yet(),
    flows("rtpinfo_wrong").not_yet(),
    flows("base_noscheme"),
    flows("base_wrong"),
    flows("cam_request=1").not_yet(),
    flows("cam_announce=1").not_yet(),
    flows("cseq_zero").not_yet(),
    flows("cseq_missing").not_yet(),
    flows("headers_lower"),
    flows("headers_spaced").not_yet(),
    flows("headers_folded").not_yet(),
    flows("headers_lf").not_yet(),
    flows("headers_bare").not_yet(),
    flows("packets_early"),
    refused("redirect_loop", &["redirect"]).not_yet(),
    refused("redirect_http", &["redirect", "http"]).not_yet(),
    refused("web_server", &["web server", "HTTP"]).not_yet(),
];

pub const KEEPALIVE: &[Row] = &[
    flows("timeout10=3").long(),
    flows("ka_off_by_one=3").long(),
    flows("ka_set_only=3").long().not_yet(),
    flows("ka_never=3").long().not_yet(),
    flows("ka_454=3").long(),
    flows("ka_get_mute=3").long().not_yet(),
    flows("ka_mid_burst=3").long(),
    flows("public_absent=3").long(),
    flows("nonce_keepalive=3").long(),
    // Each keepalive ends the connection: it is opened anew at once.
    flows("ka_454_close=3").long().lossy().dials(8),
];

pub const LOGIN: &[Row] = &[
    flows("nonce_setup").not_yet(),
    flows("auth_both"),
    flows("auth_basic_first"),
    flows("auth_basic_realm"),
    flows("auth_sha256"),
    flows("auth_dual").not_yet(),
    flows("auth_dual_md5first"),
    flows("auth_dual_md5only").not_yet(),
    flows("auth_qop").not_yet(),
    flows("auth_qop_sha256"),
    flows("auth_sess"),
    flows("auth_lower"),
    flows("auth_options"),
];

pub const RTP: &[Row] = &[
    flows("ssrc_gop").not_yet(),
    flows("midframe").not_yet(),
    flows("zero_payload=0.5").not_yet(),
    flows("padding_only=0.5").not_yet(),
    flows("padding_bad=0.5").not_yet(),
    flows("rtcp_on_data=0.5").not_yet(),
    flows("rtcp_short=0.5").not_yet(),
    flows("foreign_type=0.5").not_yet(),
    flows("seq_reset=1").not_yet(),
    flows("seq_dup"),
    flows("seq_frozen").not_yet(),
    flows("tcp_loss").lossy(),
    flows("rtp_ext"),
    flows("rtp_short=0.5").not_yet(),
    flows("stray_channels=0.5"),
    flows("empty_packets=0.5").not_yet(),
    flows("no_reports"),
];

pub const UDP: &[Row] = &[
    flows("udp_noport").over(Transport::Udp).not_yet(),
    flows("udp_otherport").over(Transport::Udp).not_yet(),
    flows("udp_reorder").over(Transport::Udp).long().not_yet(),
    flows("udp_reorder_rare").over(Transport::Udp).clocked(),
    flows("udp_dup").over(Transport::Udp),
    flows("ssrc_gop").over(Transport::Udp).not_yet(),
    flows("padding_only=0.5").over(Transport::Udp).not_yet(),
    flows("no_reports").over(Transport::Auto),
    flows("udp_461").over(Transport::Auto),
    flows("tcp_461").over(Transport::Auto).dials(2).not_yet(),
    refused("udp_461", &["tcp"]).over(Transport::Udp).not_yet(),
    refused("tcp_461", &["udp"]).over(Transport::Tcp).not_yet(),
];

pub const VIDEO: &[Row] = &[
    flows("sei_mark"),
    flows("aud_mark").not_yet(),
    flows("filler_mark"),
    flows("marker_slices").mute().not_yet(),
    flows("marker_never"),
    flows("slices_ok").mute(),
    flows("fua_empty"),
    flows("fua_both"),
    flows("fua_mark_early").not_yet(),
    flows("fua_no_start").not_yet(),
    flows("annexb_start").not_yet(),
    flows("annexb_whole").not_yet(),
    flows("stap_a"),
    flows("stap_bad").not_yet(),
    flows("nal_unknown").not_yet(),
    flows("two_pps").not_yet(),
    flows("no_idr").mute().not_yet(),
    flows("bframes").fast(),
    Row { pictures: 150, sets: 2, ..flows("sps_change") },
    flows("hevc_ap").fast(),
    // The first group of pictures lacks its leading pictures.
    flows("hevc_cra").fast().not_yet(),
    flows("hevc_mark").fast().not_yet(),
    flows("bigkey"),
];

pub const TIME: &[Row] = &[
    flows("ts_hours").clocked(),
    flows("ts_future").clocked(),
    flows("ts_frozen").clocked().not_yet(),
    flows("ts_frozen_nomark").clocked().not_yet(),
    flows("ts_millis").clocked().not_yet(),
    flows("ts_fast").clocked().not_yet(),
    flows("fps_lies").clocked().not_yet(),
    flows("ts_jump").clocked(),
    flows("ts_back").clocked().not_yet(),
    flows("ts_wrap").clocked(),
    flows("aac_half").clocked().not_yet(),
    flows("aac_clock90k").clocked().not_yet(),
    flows("reports_wrong").clocked(),
];

pub const SOUND: &[Row] = &[
    flows("aac_fmtp_pt").not_yet(),
    flows("aac_rate").not_yet(),
    flows("aac_nomark").not_yet(),
    flows("aac_fragments"),
    flows("aac_packed"),
    flows("aac_interleaved").not_yet(),
    flows("aac_bad_headers").not_yet(),
    flows("aac_latm").not_yet(),
    flows("pcma").with(AudioCodec::Pcma, 8000),
    flows("g711_16k").with(AudioCodec::Pcmu, 16_000),
    flows("g726").mute(),
    flows("mp2").mute(),
    flows("backchannel").not_yet(),
    flows("sound_refused").mute(),
    flows("sound_late=2"),
];

pub const HOSTILE: &[Row] = &[
    refused("sdp_huge", &[""]).not_yet(),
    refused("sdp_many_media", &[""]),
    refused("header_endless", &[""]).not_yet(),
    refused("headers_many", &[""]),
    refused("length_huge", &[""]).not_yet(),
    refused("unit_endless", &[""]).not_yet(),
];
