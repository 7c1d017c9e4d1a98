//! Reports on the disk, until the service has answered them.

use std::{
    io,
    path::{Path, PathBuf},
};

use jobtracker_client::{JobId, TaskReport};
use serde::{Deserialize, Serialize};
use tokio::fs;

/// A folder with a file for each report that the service has not answered. It is for one process
/// alone.
///
/// A file is not forced to the disk: the report outlives the process and not the machine, since a
/// lease is over long before a machine is up again.
#[derive(Debug, Clone)]
pub(crate) struct Spool(PathBuf);

/// A report and whose it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Spooled {
    pub job: JobId,
    pub report: TaskReport,
}

impl Spool {
    /// Uses a folder, which is made if it is not there.
    pub async fn open(folder: &Path) -> io::Result<Self> {
        fs::create_dir_all(folder).await?;
        Ok(Self(folder.to_owned()))
    }

    fn file(&self, Spooled { job, report }: &Spooled) -> PathBuf {
        self.0.join(format!("{job}-{}.json", report.epoch))
    }

    /// Keeps a report: the file is there as a whole or not at all.
    pub async fn keep(&self, spooled: &Spooled) -> io::Result<()> {
        let file = self.file(spooled);
        let part = file.with_extension("part");
        fs::write(&part, serde_json::to_vec(spooled)?).await?;
        fs::rename(part, file).await
    }

    /// Forgets a report that was answered.
    pub async fn forget(&self, spooled: &Spooled) -> io::Result<()> {
        fs::remove_file(self.file(spooled)).await
    }

    /// What an earlier process has left. Files that are no reports stay as they are.
    pub async fn left(&self) -> io::Result<Vec<Spooled>> {
        let (mut left, mut entries) = (Vec::new(), fs::read_dir(&self.0).await?);
        while let Some(entry) = entries.next_entry().await? {
            let file = entry.path();
            if file.extension().is_none_or(|extension| extension != "json") {
                continue;
            }
            match serde_json::from_slice(&fs::read(&file).await?) {
                Ok(spooled) => left.push(spooled),
                Err(error) => {
                    tracing::warn!(file = %file.display(), %error, "a file is no report");
                }
            }
        }
        Ok(left)
    }
}

#[cfg(test)]
mod tests {
    use jobtracker_client::TaskReportState;

    use super::*;

    #[tokio::test]
    async fn a_report_stays_until_it_is_forgotten() {
        let folder = tempfile::tempdir().expect("a folder");
        let spool = Spool::open(&folder.path().join("new")).await.expect("it is made");
        let report = TaskReport::new("w-1", 2, TaskReportState::Succeeded).message("done");
        let spooled = Spooled { job: JobId::MIN, report };
        spool.keep(&spooled).await.expect("it is written");
        fs::write(folder.path().join("new/other.json"), "{").await.expect("it is written");
        assert_eq!(spool.left().await.expect("it is read"), std::slice::from_ref(&spooled));
        spool.forget(&spooled).await.expect("it is removed");
        assert_eq!(spool.left().await.expect("it is read"), []);
    }
}
