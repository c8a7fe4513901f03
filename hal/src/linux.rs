//! The board itself, where the agent is the system: its local time, its clock, its network and its Wi-Fi.

pub mod zone;
