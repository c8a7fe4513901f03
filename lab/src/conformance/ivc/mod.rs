//! The rules of IVR RPC.
