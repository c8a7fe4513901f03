//! The table of all quirks: name, public report, and what the camera does.

/// The part of the protocol in which a quirk shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Description of the stream.
    Sdp,
    /// Requests, answers and keepalives.
    Rtsp,
    /// User name and password.
    Login,
    /// Packets and how they reach the client.
    Rtp,
    /// Pictures in packets.
    Video,
    /// Timestamps.
    Time,
    /// Sound in packets.
    Sound,
}

macro_rules! quirks {
    ($($kind:ident { $($variant:ident $name:literal $report:literal $what:literal)* })*) => {
        /// One way in which cameras of the field depart from the rules.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Quirk {
            $($(#[doc = $what] $variant,)*)*
        }

        impl Quirk {
            /// All quirks, by kind.
            pub const ALL: &[Self] = &[$($(Self::$variant,)*)*];

            /// Name on the command line.
            pub fn name(self) -> &'static str {
                match self { $($(Self::$variant => $name,)*)* }
            }

            /// The public report of a camera with the quirk, or the quirk that it is a variant of.
            pub fn report(self) -> &'static str {
                match self { $($(Self::$variant => $report,)*)* }
            }

            /// What the camera does, in one line.
            pub fn what(self) -> &'static str {
                match self { $($(Self::$variant => $what,)*)* }
            }

            /// The part of the protocol in which the quirk shows.
            pub fn kind(self) -> Kind {
                match self { $($(Self::$variant => Kind::$kind,)*)* }
            }
        }
    };
}

quirks! {
Sdp {
    SpropSemi "sprop_semi" "scottlamb/retina#103" "fmtp ends with a semicolon; parameter sets only in the SDP"
    SpropAnnexb "sprop_annexb" "scottlamb/moonfire-nvr#331" "Tenda CP3PRO: sprop-parameter-sets with start codes inside"
    SpropBad "sprop_bad" "scottlamb/retina#42" "VStarcam: sprop-parameter-sets are no NAL units; the right ones come in band"
    SpropOnly "sprop_only" "bluenviron/mediamtx#787, kerberos-io/agent#105" "parameter sets only in the SDP, never in band"
    SpropNone "sprop_none" "variant of AlexxIT/go2rtc#679" "no parameter sets anywhere: nothing can ever be decoded"
    SdpBare "sdp_bare" "AlexxIT/go2rtc#679" "SDP is only m=, a=rtpmap, a=control: no v=, o=, s=, t=, no fmtp; no sound"
    SdpCin "sdp_cin" "bluenviron/mediamtx#5033, AlexxIT/go2rtc#1663" "Uniview: `c=IN` and `o=- 1001 1 IN` cut short, ONVIF metadata track; no sound"
    SdpOaddr "sdp_oaddr" "bluenviron/mediamtx#2762" "o= without address"
    SdpNull "sdp_null" "alexeyvasilyev/rtsp-client-android#90" "no microphone: `m=audio 0 RTP/AVP (null)`, `a=rtpmap` without value, empty `i=`"
    SdpMacro "sdp_macro" "scottlamb/retina#52" "macro-video: no o= line, c= after a=, b= in the media; no sound"
    SdpNul "sdp_nul" "variant" "SDP lines end with LF only, the body ends with a NUL that Content-Length counts"
    SdpCr "sdp_cr" "variant of sdp_nul" "SDP lines end with CR only"
    SdpSpaces "sdp_spaces" "variant of sdp_macro" "blanks before and after every SDP line, empty lines between them, a byte order mark in front"
    SdpLatin "sdp_latin" "variant of sdp_null" "the session name is no UTF-8"
    SdpUpper "sdp_upper" "variant of sprop_semi" "encoding names and fmtp parameters in the other case: `h264`, `SPROP-PARAMETER-SETS`"
    SdpOrder "sdp_order" "variant of sdp_macro" "a=fmtp before a=rtpmap, a=control first; two unknown media before the video"
    SdpTwoFormats "sdp_two_formats" "variant of sdp_cin" "`m=video 0 RTP/AVP 98 96`: a format nobody describes comes first"
    SdpNoControl "sdp_no_control" "variant of sdp_bare" "no a=control at all: the only track is set up by the address of the stream; no sound"
    CtypeCharset "ctype_charset" "scottlamb/moonfire-nvr#298" "the Content-Type of the description carries a charset"
    CtypeMissing "ctype_missing" "variant of scottlamb/moonfire-nvr#298" "the description has no Content-Type and no Content-Base"
    Clock30000 "clock30000" "bluecherrydvr/bluecherry-apps#14" "Cisco, Toshiba: video clock of 30000 Hz"
    Mjpeg "mjpeg" "bluenviron/mediamtx#842-like" "MJPEG only"
    SdpNoEquals "sdp_no_equals" "hostile" "an SDP line without `=`"
    SdpNoFormat "sdp_no_format" "hostile" "`m=video 0 RTP/AVP ` without a format"
    SdpEmpty "sdp_empty" "hostile" "a description of no bytes"
    SdpHuge "sdp_huge" "hostile" "an SDP of 20 MB"
    SdpManyMedia "sdp_many_media" "hostile" "5000 media before the video"
}
Rtsp {
    SessionLate "session_late" "bluenviron/mediamtx#840, #822" "no Session header in the answers to SETUP; it comes with PLAY"
    SessionNever "session_never" "variant of bluenviron/mediamtx#840" "no Session header at all"
    SessionEmpty "session_empty" "hostile" "`Session: ;timeout=5`"
    NoTransport "no_transport" "bluenviron/gortsplib#456" "no Transport header in the answers to SETUP"
    NoInterleaved "no_interleaved" "variant of bluenviron/gortsplib#456" "`Transport: RTP/AVP/TCP;unicast`, without channels"
    OtherChannels "other_channels" "bluenviron/mediamtx#19, bluenviron/gortsplib#72" "other channels than asked for: 8-9, 10-11"
    SameChannel "same_channel" "variant" "interleaved=0-1 for both tracks, both are sent on channel 0, told apart by payload type"
    SsrcFirst "ssrc_first" "scottlamb/retina#120" "`Transport: RTP/AVP/TCP;ssrc=…;interleaved=…`"
    SsrcWrong "ssrc_wrong" "variant of scottlamb/retina#120" "the ssrc of the Transport header is not that of the packets"
    Redirect "redirect" "AlexxIT/go2rtc#1881, #1480" "302 to another path of the same camera"
    RedirectChain "redirect_chain" "variant of AlexxIT/go2rtc#1881" "301, then 303, then 302, the last with a relative Location"
    RedirectHost "redirect_host" "variant of AlexxIT/go2rtc#1881" "302 to another name of the host (localhost)"
    RedirectLoop "redirect_loop" "hostile" "302 to itself, for ever"
    RedirectHttp "redirect_http" "hostile" "302 to a web page"
    Busy "busy" "AlexxIT/go2rtc#883" "NVR at its session limit: SETUP answers 453 for the first two connections"
    SlowDescribe "slow_describe" "AlexxIT/go2rtc#1633, blakeblackshear/frigate#17831" "DESCRIBE is answered after 7 s (`=SECONDS`)"
    LateFirst "late_first" "blakeblackshear/frigate#7747" "first picture and sound 15 s after PLAY (`=SECONDS`)"
    Timeout10 "timeout10" "bluenviron/mediamtx#449" "session timeout of 10 s (`=SECONDS`), enforced"
    KaOffByOne "ka_off_by_one" "scottlamb/retina#133, #136" "Tapo: SET_PARAMETER offered, answered 400 with the CSeq before; GET_PARAMETER works; timeout 10 s (`=SECONDS`)"
    KaSetOnly "ka_set_only" "scottlamb/retina#136" "Tapo C220: only SET_PARAMETER offered, answered 400 with the CSeq before; timeout 10 s (`=SECONDS`)"
    KaNever "ka_never" "variant of ngraziano/SharpRTSP#63" "nothing is answered after PLAY; timeout 10 s (`=SECONDS`)"
    Ka454 "ka_454" "themactep/thingino-firmware#490" "GET_PARAMETER is answered 454; pictures go on; timeout 10 s (`=SECONDS`)"
    Ka454Close "ka_454_close" "variant of themactep/thingino-firmware#490" "GET_PARAMETER is answered 454, then the connection is closed; timeout 10 s (`=SECONDS`)"
    KaGetMute "ka_get_mute" "variant of ngraziano/SharpRTSP#63" "GET_PARAMETER stays unanswered, the rest is not; timeout 10 s (`=SECONDS`)"
    KaMidBurst "ka_mid_burst" "variant of bluenviron/gortsplib#93" "answers after PLAY come between the packets of a picture; timeout 10 s (`=SECONDS`)"
    PublicAbsent "public_absent" "variant of scottlamb/retina#136" "no Public header; OPTIONS is the only keepalive answered 200; timeout 10 s (`=SECONDS`)"
    RtpinfoRel "rtpinfo_rel" "bluenviron/mediamtx#250" "Dahua: RTP-Info with relative `url=trackID=0`"
    RtpinfoEmpty "rtpinfo_empty" "variant of bluenviron/mediamtx#250" "RTP-Info with empty values"
    RtpinfoWrong "rtpinfo_wrong" "variant of bluenviron/mediamtx#250" "RTP-Info with seq and rtptime of something else, and a track nobody knows"
    BaseNoscheme "base_noscheme" "scottlamb/moonfire-nvr#356, pedroSG94/RTSP-Server#29" "Content-Base without scheme: `127.0.0.1:554/`"
    BaseWrong "base_wrong" "variant of scottlamb/moonfire-nvr#356" "Content-Base names another host (10.255.255.1), as behind NAT"
    CamRequest "cam_request" "bluenviron/gortsplib#93" "the camera sends `OPTIONS * RTSP/1.0` of its own, every 4 s (`=SECONDS`)"
    CamAnnounce "cam_announce" "variant of bluenviron/gortsplib#93" "ANNOUNCE with a body, SET_PARAMETER and an unknown method, every 4 s (`=SECONDS`)"
    CseqZero "cseq_zero" "luisiam/homebridge-foscamcamera#6" "Foscam C1: the first answer of a connection says Cseq: 0"
    CseqMissing "cseq_missing" "variant of luisiam/homebridge-foscamcamera#6" "no CSeq in any answer"
    HeadersLower "headers_lower" "variant" "header names in lower case"
    HeadersSpaced "headers_spaced" "variant" "blanks before and after every colon"
    HeadersFolded "headers_folded" "variant" "values folded over two lines"
    HeadersLf "headers_lf" "variant of sdp_nul" "answers whose lines end with LF only"
    HeadersBare "headers_bare" "variant" "status lines without a reason, and a header line without a colon"
    PacketsEarly "packets_early" "variant of scottlamb/moonfire-nvr#191" "packets come before the answer to PLAY"
    HeaderEndless "header_endless" "hostile" "the answer to DESCRIBE has a header line that never ends"
    HeadersMany "headers_many" "hostile" "the answer to DESCRIBE has a million headers"
    LengthHuge "length_huge" "hostile" "the answer to DESCRIBE declares a body of 4 GiB, of which some comes"
    WebServer "web_server" "hostile" "a web server instead of a camera: HTML"
}
Login {
    NonceSetup "nonce_setup" "google/ExoPlayer#9800" "DESCRIBE passes, then SETUP and PLAY get 401 with a new nonce (good for one request)"
    NonceKeepalive "nonce_keepalive" "variant of google/ExoPlayer#9800" "keepalives get 401 with a new nonce; timeout 10 s (`=SECONDS`)"
    AuthBoth "auth_both" "google/ExoPlayer#9800, androidx/media#522" "Hikvision: two challenges, Digest then Basic"
    AuthBasicFirst "auth_basic_first" "variant of google/ExoPlayer#9800" "Basic then Digest, in one header; Basic is refused"
    AuthBasicRealm "auth_basic_realm" "variant" "Basic, whose realm has commas, quotes and an equals sign"
    AuthSha256 "auth_sha256" "AlexxIT/go2rtc#2344" "Hikvision OEM: only Digest SHA-256 without qop; an answer without algorithm is taken as SHA-256"
    AuthDual "auth_dual" "AlexxIT/go2rtc#2451, bluenviron/gortsplib#863" "two Digest challenges, SHA-256 first, then MD5"
    AuthDualMd5First "auth_dual_md5first" "AlexxIT/go2rtc#2451" "two Digest challenges, MD5 first, then SHA-256"
    AuthDualMd5Only "auth_dual_md5only" "AlexxIT/go2rtc#2451" "two Digest challenges, SHA-256 first, and only MD5 is accepted"
    AuthQop "auth_qop" "variant" "Digest MD5 with qop=\"auth,auth-int\", cnonce and nc required"
    AuthQopSha256 "auth_qop_sha256" "variant of AlexxIT/go2rtc#2344" "Digest SHA-256 with qop only"
    AuthSess "auth_sess" "variant" "Digest MD5-sess with qop"
    AuthLower "auth_lower" "variant" "`digest realm=…,nonce=…` in lower case, without quotes and blanks; opaque must come back"
    AuthOptions "auth_options" "variant" "OPTIONS needs the login, too"
}
Rtp {
    SsrcGop "ssrc_gop" "bluenviron/gortsplib#687" "Uniview: another SSRC with each group of pictures; sequence goes on"
    Midframe "midframe" "scottlamb/moonfire-nvr#191, AlexxIT/go2rtc#2490" "the first packet after PLAY is from the middle of a fragmented picture; no RTP-Info"
    ZeroPayload "zero_payload" "pjsip/pjproject#388, mediamtx#1804" "an RTP packet without payload between pictures, every 2 s (`=SECONDS`)"
    PaddingOnly "padding_only" "webrtc-rs/webrtc#305, aiortc/aiortc#135" "a packet of padding only, every 2 s (`=SECONDS`)"
    PaddingBad "padding_bad" "hostile" "the padding is longer than the packet, every 2 s (`=SECONDS`)"
    RtcpOnData "rtcp_on_data" "alexeyvasilyev/rtsp-client-android#143" "RTCP sender reports on the data channel, every 2 s (`=SECONDS`)"
    RtcpShort "rtcp_short" "hostile" "RTCP cut short, and RTCP of unknown types, every 2 s (`=SECONDS`)"
    ForeignType "foreign_type" "variant of same_channel" "a packet of a payload type nobody described, every 2 s (`=SECONDS`)"
    SeqReset "seq_reset" "scottlamb/moonfire-nvr#114" "the sequence number starts again at 1, every 3 s (`=SECONDS`)"
    SeqDup "seq_dup" "scottlamb/retina#72" "one packet in 100 is sent twice"
    SeqFrozen "seq_frozen" "variant of scottlamb/moonfire-nvr#114" "the sequence number is always 0"
    UdpNoport "udp_noport" "OpenIPC/smolrtsp#31" "OpenIPC, UDP: no server_port in the answer"
    UdpOtherport "udp_otherport" "bluenviron/mediamtx#691" "UDP: packets come from another port than server_port says"
    UdpReorder "udp_reorder" "scottlamb/retina#40" "UDP: one packet in 50 arrives after its successor"
    UdpReorderRare "udp_reorder_rare" "scottlamb/retina#40" "UDP: one packet in 400 arrives after its successor"
    UdpDup "udp_dup" "variant of scottlamb/retina#40" "UDP: every packet arrives twice"
    UdpRefused "udp_461" "variant" "UDP is refused (461)"
    TcpRefused "tcp_461" "variant" "TCP is refused (461)"
    TcpLoss "tcp_loss" "scottlamb/moonfire-nvr#114" "TCP: the camera leaves out one packet in 60 (number goes on)"
    RtpExt "rtp_ext" "ONVIF replay extension 0xABAC" "every RTP packet has a 12-byte header extension and two CSRC"
    RtpShort "rtp_short" "hostile" "packets of 1 to 11 bytes, and one of another RTP version, every 2 s (`=SECONDS`)"
    StrayChannels "stray_channels" "variant of mediamtx#19" "interleaved packets on channels nobody asked for, every 2 s (`=SECONDS`)"
    EmptyPackets "empty_packets" "variant of mediamtx#1804" "interleaved packets of no bytes on every channel, every 2 s (`=SECONDS`)"
    NoReports "no_reports" "variant" "no sender reports"
}
Video {
    SeiMark "sei_mark" "scottlamb/moonfire-nvr#352" "an SEI with the marker bit before every picture, same time"
    AudMark "aud_mark" "iamscottxu/obs-rtspserver#199" "the marker bit on every NAL unit, access unit delimiters included"
    FillerMark "filler_mark" "variant" "a filler NAL with the marker bit after every picture, same time"
    MarkerSlices "marker_slices" "OpenIPC/smolrtsp#43, iamscottxu/obs-rtspserver#199" "four slices per picture, the marker bit on the last packet of every slice"
    MarkerNever "marker_never" "variant of OpenIPC/smolrtsp#43" "the marker bit is never set"
    SlicesOk "slices_ok" "(control)" "four slices per picture, marker right"
    FuaEmpty "fua_empty" "scottlamb/retina#115" "an FU without data in the middle of every fragmented picture"
    FuaBoth "fua_both" "scottlamb/retina#131" "OpenIPC IMX415: small NALs in an FU with both start and end bit"
    FuaMarkEarly "fua_mark_early" "variant of lanikai/alohartc#98" "the last FU of each picture has the marker but not the end bit"
    FuaNoStart "fua_no_start" "variant of lanikai/alohartc#98" "the start bit is on every FU of a picture"
    AnnexbStart "annexb_start" "bluenviron/gortsplib#608" "every RTP payload of a whole NAL begins with a start code"
    AnnexbWhole "annexb_whole" "variant of bluenviron/gortsplib#608" "small pictures come as one payload of several NALs with start codes between them"
    StapA "stap_a" "variant of hevc_ap" "SPS, PPS and SEI aggregated in one STAP-A"
    StapBad "stap_bad" "hostile" "an STAP-A whose lengths point beyond its end, before every key picture"
    NalUnknown "nal_unknown" "hostile" "NAL types 0, 24 to 31 and STAP-B, MTAP before every picture"
    TwoPps "two_pps" "bluenviron/gortsplib#96" "SPS and two PPS (ids 0 and 1) in the SDP and in band; slices use id 0"
    NoIdr "no_idr" "rockchip-linux/mpp#523, w3c/webcodecs#650" "intra refresh: recovery point SEI, never an IDR"
    Bframes "bframes" "scottlamb/moonfire-nvr#231" "Amcrest: B-frames"
    SpsChange "sps_change" "kerberos-io/agent#105, pedroSG94/RootEncoder#1162" "resolution changes every 8 s (640x360, 320x180), new SPS and PPS in band only"
    HevcAp "hevc_ap" "RFC 7798 4.4.2" "H.265: VPS, SPS, PPS aggregated in one packet, no sprop in the SDP"
    HevcCra "hevc_cra" "variant of rockchip-linux/mpp#523" "H.265, open GOPs: CRA with leading pictures (RASL), never an IDR"
    HevcMark "hevc_mark" "variant of iamscottxu/obs-rtspserver#199" "H.265: the marker bit on every NAL unit, delimiters and SEI included"
    Bigkey "bigkey" "4K cameras" "key frames of about 1.2 MB"
    UnitEndless "unit_endless" "hostile" "an access unit that never ends: 4 MB a second"
}
Time {
    TsHours "ts_hours" "bluenviron/mediamtx#6255" "Intelbras: one picture every 2 s is stamped 9,800 s in the past"
    TsFuture "ts_future" "variant of bluenviron/mediamtx#6255" "one picture every 2 s is stamped 9,800 s in the future"
    TsFrozen "ts_frozen" "PHZ76/RtspServer#53" "video timestamps never change; marker is right"
    TsFrozenNomark "ts_frozen_nomark" "variant of PHZ76/RtspServer#53" "video timestamps never change and the marker is never set"
    TsMillis "ts_millis" "variant of open-nvr/open-nvr#229" "video timestamps count milliseconds"
    TsFast "ts_fast" "variant of open-nvr/open-nvr#229" "video timestamps run 20 % fast; sound is right"
    FpsLies "fps_lies" "open-nvr/open-nvr#229" "video timestamps run 20 % slow: 40 ms for pictures every 48 ms; sound is right"
    TsJump "ts_jump" "variant of bluenviron/mediamtx#6255" "the clock jumps an hour ahead every 5 s (`=SECONDS`)"
    TsBack "ts_back" "variant of bluenviron/mediamtx#855" "the clock is set back by 0.5 s every 5 s (`=SECONDS`)"
    TsWrap "ts_wrap" "variant" "the RTP time wraps 3 s (`=SECONDS`) after the start"
    AacHalf "aac_half" "variant of bluenviron/mediamtx#855" "sound timestamps advance at half the rate"
    AacClock90k "aac_clock90k" "variant of bluenviron/mediamtx#855" "sound timestamps count 90 kHz"
    ReportsWrong "reports_wrong" "variant" "sender reports name times of 1970, going backwards"
}
Sound {
    AacFmtpPt "aac_fmtp_pt" "bluenviron/gortsplib#658" "HIK Media Server: AAC is payload type 104, its fmtp line says 97"
    AacRate "aac_rate" "HE-AAC cameras" "rtpmap says MPEG4-GENERIC/8000, config says 16000 Hz"
    AacNomark "aac_nomark" "baresip/baresip#852" "AAC packets never have the marker bit"
    AacFragments "aac_fragments" "variant of baresip/baresip#852" "AAC units in fragments of 40 bytes"
    AacPacked "aac_packed" "variant of baresip/baresip#852" "three AAC units in each packet"
    AacInterleaved "aac_interleaved" "variant of baresip/baresip#852" "AAC units interleaved: packets with units 0 2 4, then 1 3 5"
    AacBadHeaders "aac_bad_headers" "hostile" "AU headers that name more bytes than there are, in one packet of ten"
    AacLatm "aac_latm" "variant" "AAC as MP4A-LATM (RFC 6416)"
    Pcma "pcma" "(control)" "sound is G.711 A-law (silence)"
    G711Wide "g711_16k" "variant" "sound is G.711 µ-law at 16 kHz (silence)"
    G726 "g726" "G.726 default of Dahua, Hikvision" "sound is G726-32/8000"
    Mp2 "mp2" "variant of G.726" "sound is MPEG audio (payload type 14)"
    Backchannel "backchannel" "blakeblackshear/frigate#5954, bluenviron/gortsplib#1167" "a talk-back track (PCMU, a=sendonly) stands before the microphone"
    SoundRefused "sound_refused" "variant of backchannel" "SETUP of the sound is answered 500"
    SoundLate "sound_late" "variant of blakeblackshear/frigate#7747" "sound begins 5 s (`=SECONDS`) after the picture"
}
}
