use std::{
    any::Any,
    sync::{Arc, mpsc},
    thread::JoinHandle,
};

/// A write buffer of the engine.
type Buffer = Arc<dyn Any + Send + Sync>;

/// Frees write buffers, once they are on the disk, on a thread of its own.
///
/// To free one means to free every row in it, which takes tens of milliseconds. The engine would do
/// that under the lock that every read and every write of the keyspace needs. So the writer keeps a
/// share of each buffer until the engine has let go of it.
pub struct Retired {
    held: Vec<Buffer>,
    freed: mpsc::Sender<Buffer>,
}

impl Retired {
    pub fn start() -> std::io::Result<(Self, JoinHandle<()>)> {
        let (freed, queue) = mpsc::channel::<Buffer>();
        let thread = std::thread::Builder::new().name("store-free".into());
        let handle = thread.spawn(move || queue.into_iter().for_each(drop))?;
        Ok((Self { held: Vec::new(), freed }, handle))
    }

    /// Keeps a share of a buffer that is on its way to the disk.
    pub fn hold(&mut self, buffer: Buffer) {
        self.held.push(buffer);
    }

    /// Frees the buffers that the engine has let go of.
    pub fn free(&mut self) {
        for buffer in self.held.extract_if(.., |buffer| Arc::strong_count(buffer) == 1) {
            // Without the thread it is freed right here.
            self.freed.send(buffer).ok();
        }
    }
}
