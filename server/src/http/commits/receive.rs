use actix_web::web::Bytes;
use jobtracker_engine::UploadSession;
use jobtracker_model::{
    ProblemCode as Code,
    upload::{Item, Reader, UploadOutcome},
};
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

use super::unpack::Unpacker;
use crate::http::{
    compress::Encoding,
    problem::{ApiError, Result},
};

/// Records that are passed to the session at once.
const ITEMS: usize = 1024;

/// Receives an upload on a thread of its own, since unpacking and adding up a million jobs takes
/// seconds of processor time, for which other requests should not wait.
pub(super) struct Receiver {
    session: UploadSession,
    /// Its permit among the uploads that come in at once. It is held as long as the thread lives,
    /// which may be longer than the request.
    place: OwnedSemaphorePermit,
    bytes: ByteReader,
}

/// Decodes records from the bytes.
struct ByteReader {
    unpacker: Unpacker,
    reader: Reader,
    packed: u64,
    unpacked: u64,
    limit: u64,
}

impl Receiver {
    pub fn new(
        session: UploadSession,
        place: OwnedSemaphorePermit,
        encoding: Option<Encoding>,
        limit: u64,
    ) -> Result<Self> {
        let unpacker = Unpacker::new(encoding).map_err(|error| ApiError::internal(&error))?;
        let reader = Reader::default();
        let bytes = ByteReader { unpacker, reader, packed: 0, unpacked: 0, limit };
        Ok(Self { session, place, bytes })
    }

    /// Starts the thread: bytes go in, the outcome comes out. If the channel closes before the
    /// stream has ended, the records of an incomplete tree are discarded. When the outcome is
    /// there, the same upload may be sent again.
    pub fn start(
        self,
        bytes: mpsc::Receiver<Bytes>,
    ) -> Result<oneshot::Receiver<Result<UploadOutcome>>> {
        let (done, outcome) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        let runtime = runtime.map_err(|error| ApiError::internal(&error))?;
        let thread = std::thread::Builder::new().name("commit".into());
        let work = move || {
            let Self { session, place, bytes: reader } = self;
            let outcome = runtime.block_on(receive(session, reader, bytes));
            drop(place);
            // The client may be gone; what was applied stays applied.
            let _ = done.send(outcome);
        };
        thread.spawn(work).map_err(|error| ApiError::internal(&error))?;
        Ok(outcome)
    }
}

async fn receive(
    mut session: UploadSession,
    mut reader: ByteReader,
    bytes: mpsc::Receiver<Bytes>,
) -> Result<UploadOutcome> {
    match reader.read(&mut session, bytes).await {
        Ok(()) => Ok(session.finish().await?),
        Err(refused) => {
            session.put_away().await;
            Err(refused)
        }
    }
}

impl ByteReader {
    async fn read(
        &mut self,
        session: &mut UploadSession,
        mut bytes: mpsc::Receiver<Bytes>,
    ) -> Result<()> {
        while let Some(packed) = bytes.recv().await {
            self.take(session, &packed).await?;
        }
        Ok(self.reader.finish()?)
    }

    async fn take(&mut self, session: &mut UploadSession, mut packed: &[u8]) -> Result<()> {
        self.packed += packed.len() as u64;
        self.check_size(self.packed)?;
        let mut unpacked = Vec::new();
        loop {
            let broken = |error| {
                ApiError::new(Code::InvalidCommit, format!("It cannot be unpacked: {error}."))
            };
            let (taken, more) = self.unpacker.step(packed, &mut unpacked).map_err(broken)?;
            packed = &packed[taken..];
            self.unpacked += unpacked.len() as u64;
            self.check_size(self.unpacked)?;
            self.reader.push(&unpacked);
            self.hand_over(session).await?;
            if packed.is_empty() && !more {
                return Ok(());
            }
        }
    }

    /// The limit is for the unpacked bytes, and for the packed ones, which may unpack to nothing
    /// for ever.
    fn check_size(&self, bytes: u64) -> Result<()> {
        let limit = self.limit;
        if bytes <= limit {
            return Ok(());
        }
        let detail = format!("A commit may have {limit} bytes, packed and unpacked.");
        Err(ApiError::new(Code::CommitTooLarge, detail))
    }

    /// Passes all complete records to the session, those before a broken one too.
    async fn hand_over(&mut self, session: &mut UploadSession) -> Result<()> {
        let mut items: Vec<Item> = Vec::with_capacity(ITEMS);
        loop {
            let next = self.reader.next_item();
            let all = !matches!(next, Ok(Some(_)));
            if all || items.len() == ITEMS {
                session.take(std::mem::take(&mut items)).await?;
            }
            match next? {
                Some(item) => items.push(item),
                None => return Ok(()),
            }
        }
    }
}
