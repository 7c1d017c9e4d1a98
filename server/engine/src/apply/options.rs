use jobtracker_model::{Definition, JobId};

use crate::{Error, Result, workspace::Workspace};

/// Replaces the options of a job. The same options again change nothing.
pub(super) fn apply(space: &mut Workspace, id: JobId, options: Option<&str>) -> Result<()> {
    let known = space.status(id).and_then(|_| space.definition(id));
    let definition = known.ok_or(Error::JobNotFound(id))?;
    if definition.options.as_deref() != options {
        let definition =
            Definition { options: options.map(str::to_owned), ..Definition::clone(definition) };
        space.set_definition(id, definition);
    }
    Ok(())
}
