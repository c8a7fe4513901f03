"""Listens for cameras by WSDiscovery of PyPI: prints a line for each Hello and Bye, and what a search finds once `go` comes on
standard input."""
import sys

from wsdiscovery.discovery import ThreadedWSDiscovery


def said(word):
    def tell(service):
        print(word, *(service.getXAddrs() if hasattr(service, "getXAddrs") else [service]), flush=True)
    return tell


daemon = ThreadedWSDiscovery()
daemon.setRemoteServiceHelloCallback(said("hello"))
daemon.setRemoteServiceByeCallback(said("bye"))
daemon.start()
print("listening", flush=True)
for line in sys.stdin:
    for service in daemon.searchServices(timeout=3):
        print("found", *service.getXAddrs(), *map(str, service.getTypes()), flush=True)
    print("searched", flush=True)
daemon.stop()
