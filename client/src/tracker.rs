//! What can be asked of a service, whichever way it is asked.

mod attachments;
mod deliveries;
mod follow_ups;
mod jobs;
mod lists;
mod logs;
mod stream;
mod uploads;

pub use attachments::Attachments;
pub use deliveries::Deliveries;
pub use follow_ups::FollowUps;
pub(crate) use jobs::LONGEST_WAIT;
pub use jobs::{Creations, Jobs};
pub use lists::{ListChildren, ListJobs, ListPage, Lists, RootsQuery};
pub use logs::{LogFrom, LogQuery, LogText, Logs};
pub use stream::ItemStream;
pub use uploads::{UploadSource, Uploads};

/// All calls to a service that keeps trees of jobs, in parts.
///
/// [`JobTrackerClient`](crate::JobTrackerClient) makes them over HTTP; there they are methods of
/// its own too, so a program that has a client imports no trait. A program that is to work with a
/// substitute, in its tests for instance, takes the part that it needs: an `Arc<dyn Jobs>`, or any
/// other. What implements all parts is a `JobTracker`; a `dyn JobTracker` is each of its parts,
/// and goes where one of them is asked for.
///
/// | part | what |
/// |---|---|
/// | [`Creations`] | ids and new jobs |
/// | [`Jobs`] | jobs by their ids: states, changes, options, waiting |
/// | [`Lists`] | pages of changes, of jobs below and above, of roots, of what is waited for |
/// | [`Logs`], [`Attachments`] | texts of jobs |
/// | [`FollowUps`] | actions and checks |
/// | [`Deliveries`] | the notices that follow from them |
/// | [`Uploads`] | whole trees at once |
/// | [`ContextTracker`] | what a buffered context needs |
///
/// The methods of a part that have a body stand on the others, so a substitute need not write
/// them.
///
/// # What holds for every method
/// - **Durable**: when a write answers `Ok`, it is on the service's disk and visible to every
///   read that begins from then on, with all that follows from it up to the root.
/// - **Safe to repeat**: the client repeats a request whose answer was lost or whose time had not
///   come, as its [`RetryPolicy`](crate::RetryPolicy) says. Writes carry ids for it, so each is
///   applied once. A caller who wants to repeat a *call* must choose those ids: the client
///   makes new ones for every call.
/// - **Dropped**: a future that is dropped stops waiting. A write that was on its way is then
///   carried out as a whole or not at all.
/// - **Errors**: see [`Error`](crate::Error). Limits are checked by the service, and named in the
///   problem's detail; they stand in [`limits`](crate::limits).
pub trait JobTracker:
    Jobs + Lists + Logs + Attachments + FollowUps + Deliveries + ContextTracker
{
}

impl<T> JobTracker for T where
    T: Jobs + Lists + Logs + Attachments + FollowUps + Deliveries + ContextTracker + ?Sized
{
}

/// The parts of a [`JobTracker`] by which a buffered context records and sends: ids and
/// [`Uploads`].
pub trait ContextTracker: Creations + Uploads {}

impl<T: Creations + Uploads + ?Sized> ContextTracker for T {}
