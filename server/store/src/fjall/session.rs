use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    thread::JoinHandle,
};

use parking_lot::Mutex;

use super::{
    FjallOptions,
    directory::StoreDirectory,
    failure,
    health::Health,
    hot_cache::HotCache,
    intake::Intake,
    lasting::Lasting,
    readers::Readers,
    reclaim::Reclaim,
    replay::Replay,
    retired::Retired,
    snapshot::Present,
    stages::Stages,
    tables::Tables,
    work::Work,
    writer::{End, Writer},
};
use crate::{Error, Result};

/// The engine while it is open, with the threads that need it.
pub struct Session {
    tables: Arc<Tables>,
    writer: Writer,
    threads: Vec<JoinHandle<()>>,
}

impl Session {
    /// Opens the engine for the first time in this process.
    pub fn first(place: &StoreDirectory, options: &FjallOptions) -> Result<(Self, Arc<Lasting>)> {
        let stages = Arc::new(Stages::default());
        let (tables, present) = open(place, options, &stages)?;
        let lasting = Arc::new(Lasting {
            cache: Arc::new(HotCache::new(options, present)),
            stages,
            meters: Arc::default(),
            readers: Readers::new(options.read_queue),
            health: Health::new(options.patience),
            counted: Mutex::new(None),
        });
        Ok((Self::start(tables, options, &lasting)?, lasting))
    }

    /// Opens it again.
    pub fn again(
        place: &StoreDirectory,
        options: &FjallOptions,
        lasting: &Lasting,
    ) -> Result<Self> {
        let (tables, present) = open(place, options, &lasting.stages)?;
        lasting.cache.restart(present);
        let session = Self::start(tables, options, lasting)?;
        lasting.meters.reopened.fetch_add(1, Relaxed);
        Ok(session)
    }

    fn start(tables: Arc<Tables>, options: &FjallOptions, lasting: &Lasting) -> Result<Self> {
        let no_thread = |error| Error::Unavailable(format!("cannot start a thread: {error}"));
        let (retired, freeing) = Retired::start().map_err(no_thread)?;
        let readers = &lasting.readers;
        let threads = readers.start(&tables, &lasting.cache, options.readers);
        let mut threads = threads.map_err(no_thread)?;
        threads.push(freeing);
        let (reclaim, merging) = Reclaim::start(&tables, options).map_err(no_thread)?;
        threads.push(merging);
        let writer = Writer::new(&tables, lasting, (retired, reclaim), options);
        *lasting.counted.lock() = Some(Arc::clone(&tables));
        lasting.health.opened();
        Ok(Self { tables, writer, threads })
    }

    /// Writes until there is nothing more to write or writing has failed. Work that was accepted
    /// and not begun is left in `held`.
    pub fn write(&mut self, intake: &mut Intake<Work>, held: &mut Option<Work>) -> End {
        self.writer.run(intake, held)
    }

    /// Bytes that are not in tables yet.
    pub fn buffered(&self) -> u64 {
        self.tables.database.write_buffer_size()
    }

    /// Ends the threads, then the engine. Everything that was acknowledged is on the disk.
    pub fn close(self, lasting: &Lasting) {
        let Self { tables, writer, threads } = self;
        lasting.counted.lock().take();
        drop(writer);
        lasting.readers.rest();
        for thread in threads {
            if thread.join().is_err() {
                tracing::error!("a thread of the store has panicked");
            }
        }
        let Some(tables) = Arc::into_inner(tables) else {
            tracing::error!("the store cannot be closed: something still reads from it");
            return;
        };
        // A lock that a panic has poisoned would make the engine panic again.
        if let Err(error) = failure::caught("closing the store", || drop(tables)) {
            tracing::error!(%error, "the store was not closed in good order");
        }
    }
}

fn open(
    place: &StoreDirectory,
    options: &FjallOptions,
    stages: &Stages,
) -> Result<(Arc<Tables>, Present)> {
    let replay = place.look_through()?;
    let tables = Arc::new(Tables::open(&place.tables(), options)?);
    replay.map_or(Ok(()), Replay::end)?;
    let present = failure::caught("opening the store", || Present::read(&tables, stages))??;
    Ok((tables, present))
}
