use serde::{Deserialize, Serialize};

use crate::Standing;

/// Declares the codes and their table together, so that neither can lack an entry of the other.
macro_rules! problems {
    ($(
        $variant:ident $status:literal $code:literal $retry:ident,
        $title:literal,
        $advice:literal;
    )*) => {
        /// What went wrong, as a code that stays the same for ever.
        ///
        /// This is the one table of the service's errors: code, HTTP status, whether the same
        /// request may succeed later, a title, and what to do.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum ProblemCode {
            $(#[doc = $title] #[doc = $advice] $variant,)*
        }

        impl ProblemCode {
            /// Every code.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The code on the wire.
            #[must_use]
            pub const fn code(self) -> &'static str {
                match self { $(Self::$variant => $code,)* }
            }

            /// The HTTP status that goes with it.
            #[must_use]
            pub const fn status(self) -> u16 {
                match self { $(Self::$variant => $status,)* }
            }

            /// The same for every problem with this code.
            #[must_use]
            pub const fn title(self) -> &'static str {
                match self { $(Self::$variant => $title,)* }
            }

            /// What to do about it.
            #[must_use]
            pub const fn advice(self) -> &'static str {
                match self { $(Self::$variant => $advice,)* }
            }

            /// Whether the same request may succeed later without any other change. It says
            /// nothing about whether the request was carried out: that is so only for
            /// [`OutcomeUnknown`](Self::OutcomeUnknown).
            #[must_use]
            pub const fn is_transient(self) -> bool {
                match self { $(Self::$variant => problems!($retry),)* }
            }
        }
    };
    (later) => { true };
    (never) => { false };
}

problems! {
    InvalidJson 400 "invalid_json" never,
        "The body is not the JSON that this request takes.",
        "Correct the body at the position that the detail names.";
    InvalidField 422 "invalid_field" never,
        "A field has a value that cannot be accepted.",
        "Correct the field that is named; its limit is in the detail.";
    InvalidQuery 400 "invalid_query" never,
        "A parameter of the query string or the path cannot be understood.",
        "Correct the parameter that the detail names.";
    InvalidCursor 400 "invalid_cursor" never,
        "The cursor is not one that this list has given out.",
        "Start again without a cursor.";
    InvalidCommit 400 "invalid_commit" never,
        "The body is not a commit as its format says.",
        "Correct the stream at the record that the detail names.";
    InvalidExpression 400 "invalid_expression" never,
        "The filter expression is not valid.",
        "Correct it at the position that the detail names.";
    Unauthorized 401 "unauthorized" never,
        "The request has no valid bearer token.",
        "Send the token as 'Authorization: Bearer …'.";
    TokenExpired 401 "token_expired" never,
        "The token has expired.",
        "Ask an admin of the service for a new one.";
    TokenRevoked 401 "token_revoked" never,
        "The token was revoked.",
        "Ask an admin of the service for a new one.";
    SessionEnded 401 "session_ended" never,
        "The session is over.",
        "Log in again: POST /api/v1/session with a token.";
    ProxyRefused 401 "proxy_refused" never,
        "The proxy in front of the service does not say who sends this.",
        "Correct the headers that it sends: those of the section proxy of the configuration.";
    Forbidden 403 "forbidden" never,
        "The caller's role does not allow this.",
        "Use a token with the role that the detail names.";
    UnknownHost 403 "unknown_host" never,
        "A server without a token is not served under this name, which a web site could have too.",
        "Ask for localhost or an address, add the name to server.hosts, or set auth.token.";
    ForeignOrigin 403 "foreign_origin" never,
        "A page of another web site may not do this.",
        "Send it from the service's own page, or from a program with a bearer token. Behind a \
         proxy, have it pass on the Host header, or add the page's host to server.hosts.";
    RouteNotFound 404 "route_not_found" never,
        "There is nothing at this address.",
        "See /openapi.json for the addresses of the service.";
    JobNotFound 404 "job_not_found" never,
        "There is no job with this id.",
        "Create the job first, or correct the id.";
    ParentNotFound 404 "parent_not_found" never,
        "There is no job with the id given as parent.",
        "Create the parent first, or correct the id.";
    AttachmentNotFound 404 "attachment_not_found" never,
        "The job has no attachment with this key.",
        "List the job's attachments for their keys.";
    ActionNotFound 404 "action_not_found" never,
        "The job has no action with this number.",
        "List the job's actions for their numbers.";
    CheckNotFound 404 "check_not_found" never,
        "The job has no check with this number.",
        "List the job's checks for their numbers.";
    DeliveryNotFound 404 "delivery_not_found" never,
        "There is no delivery with this id.",
        "List the job's deliveries for their ids.";
    TaskNotFound 404 "task_not_found" never,
        "The job has no task.",
        "Create the job with a task for a worker to run it.";
    WorkerNotFound 404 "worker_not_found" never,
        "There is no worker with this id.",
        "Register the worker anew; what it had on lease is run by others.";
    TokenNotFound 404 "token_not_found" never,
        "There is no token with this name.",
        "List the tokens for their names.";
    CommitNotFound 404 "commit_not_found" never,
        "The service remembers no commit with this id.",
        "Nothing of it was applied, or it was longer ago than commits are remembered.";
    RetentionRuleNotFound 404 "retention_rule_not_found" never,
        "There is no retention rule with this name.",
        "List the retention rules for their names.";
    ScheduleNotFound 404 "schedule_not_found" never,
        "There is no schedule with this name.",
        "List the schedules for their names.";
    MethodNotAllowed 405 "method_not_allowed" never,
        "This address does not take this method.",
        "See the Allow header for the methods that it takes.";
    RequestTimeout 408 "request_timeout" later,
        "The request did not arrive in time.",
        "Send it again, whole.";
    IdConflict 409 "id_conflict" never,
        "A job with this id exists, with another definition or parent.",
        "Choose another id, or send the definition that was sent first.";
    RepeatConflict 409 "repeat_conflict" never,
        "The same change id or append id was sent before with other content.",
        "Use a new id for each change or append.";
    AlreadyInState 409 "already_in_state" never,
        "The job is finished in a state that the action names, so it would not fire.",
        "Read the job's state; an action fires when a state is reached, not while it lasts.";
    StaleLease 409 "stale_lease" never,
        "The job's task is not on lease to this caller, or not any more.",
        "Abandon the attempt: another one may be under way. Only the worker that holds the lease \
         reports the states of a job with a task.";
    TaskIsRunning 409 "task_is_running" never,
        "A worker has the job's task.",
        "Wait until the attempt has ended, or cancel it.";
    WorkerKicked 409 "worker_kicked" never,
        "The worker was kicked.",
        "It may register again when its time is over, which the detail says.";
    WorkerDraining 409 "worker_draining" never,
        "The worker is to finish what it has.",
        "Claim nothing more, and leave.";
    TooManyWorkers 422 "too_many_workers" never,
        "There are as many workers as a service may have.",
        "Run more slots in fewer workers, or try again when others have gone for an hour.";
    TokenExists 409 "token_exists" never,
        "There is a token with this name.",
        "Revoke that one first, or choose another name.";
    ScheduleExists 409 "schedule_exists" never,
        "There is a schedule with this name and another definition.",
        "Choose another name, or replace the definition of that one.";
    NotARoot 409 "not_a_root" never,
        "The job is not a root, and trees are deleted as a whole.",
        "Ask for the deletion of the root that the detail names.";
    OpenFollowUps 409 "open_follow_ups" never,
        "Deliveries or checks of the tree are still to be done.",
        "Wait until they are done, or cancel them; the detail names one.";
    Gone 410 "gone" never,
        "The tree was deleted.",
        "The detail says when and by whom. Create a new one under another id.";
    NotAReceiver 410 "not_a_receiver" never,
        "This is a delivery of a job tracker, and a job tracker takes none.",
        "Give the action the address of a receiver of your own.";
    CheckIsOver 422 "check_is_over" never,
        "The check has been made.",
        "Read the job's checks for what it found.";
    DeliveryIsOver 422 "delivery_is_over" never,
        "The delivery was received.",
        "There is nothing to cancel; replay it to have it sent again.";
    CommitConflict 409 "commit_conflict" never,
        "The same commit id was sent before with other content.",
        "Use a new id for each commit.";
    UnexpectedState 409 "unexpected_state" never,
        "The job is not as the change expects it.",
        "Read `stands`, and report again if it still makes sense.";
    CommitInProgress 409 "commit_in_progress" later,
        "This commit is coming in on another connection.",
        "Send it again after the time in Retry-After.";
    OtherVersion 412 "other_version" never,
        "What is to be changed has another version than the request names.",
        "Read it again, and send the change once more if it still makes sense.";
    BodyTooLarge 413 "body_too_large" never,
        "The body is larger than this request may have.",
        "Send less at a time; the limit is in the detail.";
    CommitTooLarge 413 "commit_too_large" never,
        "The commit has more than a commit may have.",
        "Send several commits; the limit is in the detail.";
    UpgradeRequired 426 "upgrade_required" never,
        "This address speaks WebSocket.",
        "Ask for an upgrade to a WebSocket, or read /api/v1/events.";
    UnsupportedMediaType 415 "unsupported_media_type" never,
        "The body has a content type that this request does not take.",
        "Send the content type that the detail names.";
    UnsupportedEncoding 415 "unsupported_encoding" never,
        "The body's content encoding is not supported, or the body is not valid in it.",
        "Send it plain, or as gzip or zstd.";
    StateNotAllowed 422 "state_not_allowed" never,
        "A job cannot report this state.",
        "WaitingForActivation means that there is no job; report one of the others.";
    ParentIsSelf 422 "parent_is_self" never,
        "A job cannot be its own parent.",
        "Leave the parent out for a root, or name another job.";
    TooDeep 422 "too_deep" never,
        "The job would be deeper than a tree may grow.",
        "Put it under a job with a depth below 64.";
    OtherRules 422 "other_rules" never,
        "The commit was recorded under another rule for updates to finished jobs.",
        "Set the recording side up as the service is.";
    ParentAfterChild 422 "parent_after_child" never,
        "A job of the commit does not stand below its parent in the stream.",
        "Send each job before its children, and its whole subtree before any other job.";
    OutOfOrder 422 "out_of_order" never,
        "A record of the commit is not in the order in which it was recorded.",
        "Number creations and changes of a tree as they come, each number once.";
    OtherTree 422 "other_tree" never,
        "A job of the commit belongs to another tree than the one it stands in.",
        "Send each job within its own tree.";
    DuplicateId 422 "duplicate_id" never,
        "The same id is in the request twice.",
        "Give each job its own id.";
    TooManyChanges 422 "too_many_changes" never,
        "The job has as many state changes as a job may have.",
        "Report progress in the log instead.";
    LogFull 422 "log_full" never,
        "The job's log has as many lines as a log may have.",
        "Keep the rest elsewhere and attach a link.";
    TooManyAttachments 422 "too_many_attachments" never,
        "The job has as many attachments as a job may have.",
        "Delete one first.";
    TooManyActions 422 "too_many_actions" never,
        "The job has as many actions as a job may have.",
        "Give one action more states, or put the others on another job.";
    TooManyChecks 422 "too_many_checks" never,
        "The job has, or had, as many checks as a job may have.",
        "Put further checks on another job.";
    TooManyTokens 422 "too_many_tokens" never,
        "There are as many tokens as a service may have.",
        "Revoke tokens; a revoked one counts for 30 days more.";
    TooManyRetentionRules 422 "too_many_retention_rules" never,
        "There are as many retention rules as a service may have.",
        "Delete rules that are not needed.";
    TooManyPlanned 422 "too_many_planned" never,
        "As many firings by hand wait for their times as may wait.",
        "Wait until some have fired.";
    TooManyTries 429 "too_many_tries" later,
        "Too many requests from this address had a wrong token.",
        "Correct the token, and send it again after the time in Retry-After.";
    Overloaded 429 "overloaded" later,
        "The service has more work waiting than it takes on; nothing was done.",
        "Send it again after the time in Retry-After.";
    Internal 500 "internal" never,
        "The service has failed in a way that it did not expect.",
        "Report the request id to the operator of the service.";
    StoreCorrupt 500 "store_corrupt" never,
        "The store has damaged data at this place.",
        "Report the request id to the operator of the service.";
    StoreUnavailable 503 "store_unavailable" later,
        "The store does not answer; nothing is known to have been done.",
        "Send it again later; a request with its own ids is safe to repeat.";
    ShuttingDown 503 "shutting_down" later,
        "The service is shutting down; nothing was done.",
        "Send it again after the time in Retry-After.";
    Contention 503 "contention" later,
        "Too many others changed the same tree at once; nothing was done.",
        "Send it again after the time in Retry-After.";
    OutcomeUnknown 503 "outcome_unknown" later,
        "It is not known whether the request was carried out.",
        "Send it again with the same ids: it is applied once.";
    StoreFull 507 "store_full" later,
        "The store has no space left; nothing was done.",
        "Free space on the disk that holds the store.";
}

impl ProblemCode {
    /// The code that the wire spells like this.
    #[must_use]
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|known| known.code() == code)
    }
}

impl std::fmt::Display for ProblemCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.code())
    }
}

/// An error on the wire: RFC 9457 `application/problem+json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Problem {
    /// `urn:jobtracker:problem:` and the code.
    #[serde(rename = "type")]
    pub kind: String,
    /// The stable code.
    pub code: String,
    /// The HTTP status.
    pub status: u16,
    /// The same for every problem with this code.
    pub title: String,
    /// What is special about this one, and what to do.
    pub detail: String,
    /// The field or parameter that is meant, if one is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// How the job stands, if a change expected it otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stands: Option<Standing>,
    /// When to send the same request again, in milliseconds, if that makes sense.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
    /// The request, as the service's logs name it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

impl Problem {
    /// A problem with this code; the detail is followed by the code's advice.
    #[must_use]
    pub fn new(code: ProblemCode, detail: impl std::fmt::Display) -> Self {
        Self {
            kind: format!("urn:jobtracker:problem:{code}"),
            code: code.code().into(),
            status: code.status(),
            title: code.title().into(),
            detail: format!("{detail} {}", code.advice()).trim_start().into(),
            field: None,
            stands: None,
            retry_after_ms: None,
            request_id: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_found_again() {
        for code in ProblemCode::ALL {
            assert_eq!(ProblemCode::from_code(code.code()), Some(*code));
            assert!((400..600).contains(&code.status()));
            assert!(code.title().ends_with('.') && code.advice().ends_with('.'));
        }
        assert_eq!(ProblemCode::from_code("no_such_code"), None);
    }
}
