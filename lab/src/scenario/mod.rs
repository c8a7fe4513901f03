//! `ivc-sim run`: scenarios that QA writes as text files.
