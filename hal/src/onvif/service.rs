//! The services that a camera may have.

/// The services of a camera.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Service {
    Device,
    Media,
    /// The later edition of the media service, which knows H.265.
    Media2,
    Ptz,
    Events,
    /// A subscription to events, at an address of its own.
    Subscription,
}

impl Service {
    /// Every service that a camera lists.
    pub(super) const ALL: [Self; 5] =
        [Self::Device, Self::Media, Self::Media2, Self::Ptz, Self::Events];

    pub(super) fn namespace(self) -> &'static str {
        match self {
            Self::Device => "http://www.onvif.org/ver10/device/wsdl",
            Self::Media => "http://www.onvif.org/ver10/media/wsdl",
            Self::Media2 => "http://www.onvif.org/ver20/media/wsdl",
            Self::Ptz => "http://www.onvif.org/ver20/ptz/wsdl",
            Self::Events => "http://www.onvif.org/ver10/events/wsdl",
            Self::Subscription => "http://docs.oasis-open.org/wsn/b-2",
        }
    }
}
