//! Every limit of the service that a caller can run into, in bytes unless the name says otherwise.
//! A text is measured in bytes of UTF-8.

/// Steps from the root to the deepest job; a root has depth 0.
pub const DEPTH: u32 = 64;
/// Name of a job; at least one byte.
pub const NAME: usize = 256;
/// `createdBy` of a job.
pub const CREATED_BY: usize = 128;
/// Tags of one job.
pub const TAGS: usize = 32;
/// One tag; at least one byte.
pub const TAG: usize = 64;
/// Options of a job.
pub const OPTIONS: usize = 64 * 1024;
/// Source link of a job.
pub const SOURCE_LINK: usize = 2048;
/// Days that a tree is kept after it has finished.
pub const KEEP_DAYS: u32 = 36_500;
/// Days that the summary of a deleted tree is kept: a cluster keeps no row for more than 20 years.
pub const SUMMARY_DAYS: u32 = 7_000;
/// Message of a state change; a longer one is shortened.
pub const MESSAGE: usize = 4096;
/// Reason code of a state change; a longer one is shortened.
pub const REASON_CODE: usize = 64;
/// Change id or append id; at least one byte.
pub const REPEAT_ID: usize = 64;
/// Own state changes of one job that is at work.
pub const CHANGES: u32 = 100_000;
/// Further changes that say that its work is over, so that a full job can still end.
pub const CHANGES_TO_END: u32 = 1_000;
/// Children created by one request.
pub const CHILDREN_PER_REQUEST: usize = 10_000;
/// Ids reserved by one request.
pub const IDS_PER_RESERVATION: u32 = 1_000_000;
/// Ids asked for their states by one request.
pub const STATES_PER_REQUEST: usize = 1_000;
/// Rows of jobs asked for by one request.
pub const ROWS_PER_REQUEST: usize = 500;
/// Roots whose trees are exported by one request.
pub const EXPORT_ROOTS: usize = 10_000;
/// The largest number in the position of an export: sums of these do not overflow.
pub const EXPORT_NUMBER: u64 = 1 << 53;
/// Items on one page.
pub const PAGE: usize = 1_000;
/// Items on a page when the caller names no number.
pub const PAGE_DEFAULT: usize = 200;
/// A page ends early when its items pass this size.
pub const PAGE_BYTES: usize = 4 * 1024 * 1024;
/// Rows read for one filtered page; past it the page ends early, with a cursor.
pub const SCAN: usize = 20_000;
/// Root jobs that are read for the total of a list, when one is asked for.
pub const ROOTS_COUNTED: usize = 100_000;
/// One line of a log.
pub const LOG_LINE: usize = 8 * 1024;
/// Lines appended by one request.
pub const LOG_LINES_PER_REQUEST: usize = 1_000;
/// Lines of one job's log.
pub const LOG_LINES: u32 = 1_000_000;
/// Key of an attachment; at least one byte, of `A-Z a-z 0-9 . _ -`.
pub const ATTACHMENT_KEY: usize = 128;
/// Text of an attachment.
pub const ATTACHMENT: usize = 64 * 1024;
/// Attachments of one job.
pub const ATTACHMENTS: u32 = 64;
/// Expression that filters root jobs.
pub const EXPRESSION: usize = 1024;
/// Actions of one job.
pub const ACTIONS: usize = 16;
/// State checks with which a job can be created.
pub const CHECKS: usize = 16;
/// State checks of one job, those that are over included.
pub const CHECKS_EVER: usize = 64;
/// Deliveries of one job; past it no action fires any more.
pub const DELIVERIES: u32 = 100_000;
/// Deliveries of one job up to which checks make any: checks that tell again and again must not
/// take the room of the actions.
pub const DELIVERIES_OF_CHECKS: u32 = 50_000;
/// How much a delivery tells of the message of a change.
pub const EVENT_MESSAGE: usize = 1024;
/// Address of a receiver or a proxy.
pub const URL: usize = 2048;
/// Headers of one request to a receiver.
pub const HEADERS: usize = 32;
/// Names and values of these headers together.
pub const HEADER_BYTES: usize = 8 * 1024;
/// Payload of an action, as compact JSON.
pub const PAYLOAD: usize = 16 * 1024;
/// User or password of a proxy; a user has at least one byte.
pub const PROXY_LOGIN: usize = 256;
/// Fewest bytes of the key in a secret for signatures, after decoding.
pub const SECRET_MIN: usize = 24;
/// Most bytes of the key in a secret for signatures, after decoding.
pub const SECRET: usize = 64;
/// Recipients of one e-mail, those of copies included.
pub const RECIPIENTS: usize = 32;
/// One address of an e-mail.
pub const ADDRESS: usize = 254;
/// Subject of an e-mail; at least one byte.
pub const SUBJECT: usize = 256;
/// Shortest silence that can be asked for, in milliseconds.
pub const QUIET_MIN_MS: u64 = 1_000;
/// Longest silence that can be asked for, in milliseconds: 30 days.
pub const QUIET_MS: u64 = 30 * 24 * 3_600_000;
/// Longest wait for a state, in milliseconds.
pub const WAIT_MS: u64 = 60_000;
/// Body of a request, after decompression.
pub const BODY: usize = 32 * 1024 * 1024;
/// New jobs in one upload, unless the service is set up otherwise.
pub const COMMIT_JOBS: u64 = 2_000_000;
/// An upload's stream after decompression, unless the service is set up otherwise.
pub const COMMIT_BYTES: u64 = 1024 * 1024 * 1024;
/// Trees in one upload.
pub const COMMIT_TREES: u64 = 100_000;
/// Jobs of one tree that an upload changes or puts children under, and that the service has
/// already.
pub const COMMIT_EXISTING: usize = 50_000;
/// Changes and lines for such jobs of one tree in an upload, about, in bytes: some 40,000 changes
/// with short messages. They are applied in one step, and no other operation is applied meanwhile.
pub const COMMIT_EXISTING_BYTES: usize = 8 * 1024 * 1024;
/// Ranges of 65,536 numbers that the ids of new jobs of one upload may be from.
pub const COMMIT_ID_RANGES: u64 = 100_000;
/// One record of an upload's stream, but for that of a job with actions or checks
/// ([`FOLLOWED_RECORD`](crate::upload::FOLLOWED_RECORD)).
pub const COMMIT_RECORD: usize = 128 * 1024;
/// Key of a document; at least one byte.
pub const DOCUMENT_KEY: usize = 256;
/// Content of a document.
pub const DOCUMENT: usize = 256 * 1024;
/// Results of trees, or blocked changes of a result, that are shown at once.
pub const RESULTS_SHOWN: usize = 100;
/// Length of the name of a token in bytes.
pub const TOKEN_NAME: usize = 64;

/// Longest time of a task's time-outs and pauses, in milliseconds: a year.
pub const TASK_TIME_MS: u64 = 365 * 24 * 3_600_000;
/// Attempts of a task after the first.
pub const RETRIES: u32 = 1_000;
/// Shards of one work.
pub const SHARDS: u32 = 10_000;
/// Workers that the filter of a task names.
pub const FILTER_WORKERS: usize = 100;
/// The key by which tasks on one worker are counted.
pub const PER_WORKER_KEY: usize = 128;
/// Name of a worker; at least one byte.
pub const WORKER_NAME: usize = 40;
/// Handlers of one worker.
pub const WORKER_HANDLERS: usize = 200;
/// Tasks that one worker runs at once.
pub const WORKER_SLOTS: u32 = 1_000;
/// Workers that a service knows, those that have gone within the last hour included.
pub const WORKERS: usize = 5_000;
/// Longest wait of a worker for tasks or orders, in milliseconds.
pub const WORKER_WAIT_MS: u64 = 30_000;
/// Longest time for which a worker is kept out, in milliseconds: a day.
pub const WORKER_BAN_MS: u64 = 24 * 3_600_000;
/// Length of the id of a worker in bytes.
pub const WORKER_ID: usize = 64;
/// Retention rules.
pub const RETENTION_RULES: usize = 100;
/// Tokens of a service, those that were revoked or have expired lately included.
pub const TOKENS: usize = 10_000;

/// Triggers of a schedule.
pub const TRIGGERS: usize = 8;
/// Daily windows of a schedule.
pub const WINDOWS: usize = 8;
/// Receivers of a schedule's alarm.
pub const ALARM_ACTIONS: usize = 4;
/// Definition of a schedule, as JSON.
pub const SCHEDULE_DEFINITION: usize = 112 * 1024;
/// Description of a schedule.
pub const DESCRIPTION: usize = 1024;
/// Pattern of cron.
pub const CRON_PATTERN: usize = 256;
/// Name of a time zone.
pub const ZONE: usize = 64;
/// Shortest distance of two times of a fixed rate or delay, in milliseconds.
pub const RATE_MS: u64 = 100;
/// Longest distance or delay of a trigger, in milliseconds: 366 days.
pub const TRIGGER_MS: u64 = 366 * 24 * 3_600_000;
/// By how much a planned time may be late if the schedule does not say, in milliseconds.
pub const MISFIRE_GRACE_MS: u64 = 5_000;
/// The most that a schedule can say, in milliseconds.
pub const GRACE_MS: u64 = 24 * 3_600_000;
/// Late times of a schedule that fire.
pub const MISFIRES: u32 = 100;
/// Firings of a schedule that wait for a run to end.
pub const QUEUED_FIRINGS: u32 = 100;
/// Firings by hand of a schedule whose time has not come.
pub const PLANNED_BY_HAND: usize = 100;
/// Runs of a schedule that are open at once.
pub const OPEN_RUNS: u32 = 100;
/// The version of a definition that a program registers: what each language can write.
pub const CODE_VERSION: u64 = (1 << 53) - 1;
/// Parameters of a firing by hand, as JSON.
pub const TRIGGER_PARAMS: usize = 4 * 1024;
/// Firings of a schedule that are kept; older ones are only counted.
pub const FIRINGS: usize = 50;
/// Idempotency keys of a schedule that are remembered.
pub const IDEMPOTENCY_KEYS: usize = 100;
/// Times of a preview.
pub const PREVIEW: u32 = 100;
