"""TLS in front of the plain servers of our own simulators, and one file that pins all the certificates."""
import os

from .sinks import TlsFront


class Plain:
    """The port of a plain server, for a TLS front."""

    def __init__(self, port):
        self.port = port


def secure(stack, folder, cloud, others=None, **validity):
    """Puts TLS in front of the cloud's web and RTMP servers, and of the ports in `others` by their names. Returns the fronts by
    name (`ivc`, `rtmp` and those of `others`) and the file of authorities; `cloud.device_url` leads through TLS from now on."""
    ports = {"ivc": cloud.port, "rtmp": cloud.get("/api/info")["rtmp_port"], **(others or {})}
    fronts = {}
    authorities = os.path.join(folder, "authorities.pem")
    with open(authorities, "w", encoding="ascii") as out:
        for name, port in ports.items():
            own = os.path.join(folder, name)
            os.mkdir(own)
            fronts[name] = TlsFront(stack, own, Plain(port), **validity)
            with open(fronts[name].ca_file, encoding="ascii") as certificate:
                out.write(certificate.read())
    cloud.device_url = f"wss://localhost:{fronts['ivc'].port}/ivc"
    return fronts, authorities
