//! Sends one delivery to one receiver, and answers the outcome. The caller decides which delivery
//! is sent, when, and by which server.
//!
//! Reading order: a [`Notice`] becomes the body of a request or an e-mail; `jobtracker-guard` says
//! where a request may go, [`Poster`] sends it and [`Mailer`] sends the e-mail; both answer with an
//! [`Outcome`]. [`Schedule`] says when to try again, [`HostLimits`] how many tries go to one host
//! at once.

mod error;
mod host_limits;
mod mail;
mod notice;
mod outcome;
mod post;
mod schedule;
mod sign;

pub use error::OutboxError;
pub use host_limits::{HostLimits, Queued};
pub use mail::Mailer;
pub use notice::{Cause, Finding, Found, JobName, JobRef, Notice, NoticeKind};
pub use outcome::{Answer, Outcome};
pub use post::{Poster, check_receiver};
pub use schedule::Schedule;
