#!/usr/bin/python3
"""gst-rtsp-server: serves FILE (QuickTime) as rtsp://127.0.0.1:PORT/main and prints `listening PORT`. With a certificate and its
key (PEM) it speaks TLS only: rtsps://.

gst_server.py FILE h264|h265 aac|pcma|pcmu none|basic|digest USER PASSWORD [CERTIFICATE KEY]
"""
import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import Gio, GLib, Gst, GstRtsp, GstRtspServer  # noqa: E402

VIDEO = {"h264": "h264parse config-interval=-1 ! rtph264pay", "h265": "h265parse config-interval=-1 ! rtph265pay"}
AUDIO = {"aac": "rtpmp4gpay pt=97", "pcma": "rtppcmapay pt=8", "pcmu": "rtppcmupay pt=0"}


def main():
    path, video, audio, login, user, password, *tls = sys.argv[1:]
    Gst.init(None)
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_launch(f'( filesrc location="{path}" ! qtdemux name=d '
                       f"d.video_0 ! queue ! {VIDEO[video]} pt=96 name=pay0 d.audio_0 ! queue ! {AUDIO[audio]} name=pay1 )")
    permissions = GstRtspServer.RTSPPermissions()
    permissions.add_permission_for_role("viewer", GstRtspServer.RTSP_PERM_MEDIA_FACTORY_ACCESS, True)
    permissions.add_permission_for_role("viewer", GstRtspServer.RTSP_PERM_MEDIA_FACTORY_CONSTRUCT, True)
    factory.set_permissions(permissions)

    auth = GstRtspServer.RTSPAuth()
    token = GstRtspServer.RTSPToken()
    token.set_string(GstRtspServer.RTSP_TOKEN_MEDIA_FACTORY_ROLE, "viewer")
    if login == "basic":
        auth.set_supported_methods(GstRtsp.RTSPAuthMethod.BASIC)
        auth.add_basic(GstRtspServer.RTSPAuth.make_basic(user, password), token)
    elif login == "digest":
        auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
        auth.add_digest(user, password, token)
    else:
        auth.set_default_token(token)
    if tls:
        auth.set_tls_certificate(Gio.TlsCertificate.new_from_files(*tls))

    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service("0")
    server.set_auth(auth)
    server.get_mount_points().add_factory("/main", factory)
    server.attach(None)
    print("listening", server.get_bound_port(), flush=True)
    GLib.MainLoop().run()


main()
