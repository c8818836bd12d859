//! The studies: what edits cost, measured with floe and with its peers on the same work, kept as raw data and rendered as
//! a report. This crate runs commands and reads what they say; it decides nothing that an engine decides.
//!
//! | to learn | read |
//! |---|---|
//! | what a study is, and how one is added | [`study`] |
//! | how its folder describes it | [`description`] |
//! | how its trials run, resume and are told | [`runner`] |
//! | what a raw result holds | [`record`] |
//! | how processes are measured | [`process`], and floe itself [`floe`] |
//! | how two outputs are compared | [`objects`] |
//! | how store roots are copied and deleted | [`roots`] |
//! | the studies | [`studies`] |
//! | how results become a page | [`report`] |

pub mod compare;
pub mod description;
pub mod floe;
pub mod machine;
pub mod objects;
pub mod process;
pub mod record;
pub mod report;
pub mod roots;
pub mod runner;
pub mod stats;
pub mod studies;
pub mod study;
