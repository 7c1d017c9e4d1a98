use jobtracker_model::{JobId, limits};

use crate::{Error, Result, workspace::Workspace};

/// Puts an attachment; answers whether it is new.
pub(super) fn put(space: &mut Workspace, id: JobId, key: &str, text: &str) -> Result<bool> {
    let status = space.status(id).ok_or(Error::JobNotFound(id))?;
    let new = !space.has_attachment(id, key);
    if new && status.attachments >= limits::ATTACHMENTS {
        return Err(Error::TooManyAttachments(id));
    }
    space.set_attachment(id, key, Some(text.to_owned()));
    if new {
        space.change(id).expect("its status was there").status.attachments += 1;
    }
    Ok(new)
}

/// Deletes an attachment.
pub(super) fn delete(space: &mut Workspace, id: JobId, key: &str) -> Result<()> {
    if space.status(id).is_none() {
        return Err(Error::JobNotFound(id));
    }
    if !space.has_attachment(id, key) {
        return Err(Error::AttachmentNotFound { id, key: key.to_owned() });
    }
    space.set_attachment(id, key, None);
    space.change(id).expect("its status was there").status.attachments -= 1;
    Ok(())
}
