//! Chorale's node: the hands of [`chorale_protocol`]'s engine.
//!
//! `main → cli → driver → {net, store, train}`; those three never import one another. The driver is one loop: engine
//! outputs become jobs, their ends become inputs.

pub mod config;
pub mod driver;
pub mod net;
pub mod store;
pub mod telemetry;
pub mod train;
