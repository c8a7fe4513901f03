"""The ONVIF service of PyPI `ipycam`: `python ipycam_server.py PORT USER PASSWORD`. On the loopback, without its streams and its
discovery, which would listen on every address."""
import sys

from ipycam import CameraConfig, IPCamera
from ipycam.camera import IPCameraHTTPHandler, ReusableThreadingTCPServer


def main(port, user, password):
    config = CameraConfig(onvif_port=port, local_ip="127.0.0.1", username=user, password=password)
    IPCameraHTTPHandler.camera = IPCamera(config)
    server = ReusableThreadingTCPServer(("127.0.0.1", port), IPCameraHTTPHandler)
    print(f"listening {server.server_address[1]}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main(int(sys.argv[1]), *sys.argv[2:4])
