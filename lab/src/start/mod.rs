//! `ivt-lab start`: a camera, a cloud or both on this machine, with their addresses and a QR code.
