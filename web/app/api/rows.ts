import type { Id, Job, JobSummary, Row } from './types'

/** A row from a job as a whole, which has no times of its tree: those of `before` stay. */
export function rowOfJob(job: Job, before?: Row): Row {
  return {
    id: job.id,
    root: job.root,
    parent: job.parent ?? null,
    depth: job.depth,
    name: job.name,
    createdBy: job.createdBy,
    tags: job.tags,
    createTime: job.createTime,
    state: job.state as Row['state'],
    startTime: job.startTime ?? null,
    endTime: job.endTime ?? null,
    treeStart: before?.treeStart ?? job.startTime ?? null,
    treeEnd: before?.treeEnd ?? job.endTime ?? null,
    children: job.children,
    subtree: job.subtree,
    changes: job.changes,
    logLines: job.logLines,
    attachments: job.attachments,
  }
}

/** A row from a snapshot; `before` has what never changes, if the snapshot leaves it out. */
export function rowOfSummary(summary: JobSummary, root: Id, before?: Row): Row | undefined {
  const { definition } = summary
  const fixed = definition
    ? {
        parent: definition.parent ?? null,
        depth: definition.depth,
        name: definition.name,
        createdBy: definition.createdBy,
        tags: definition.tags,
        createTime: definition.createTime,
      }
    : before && {
        parent: before.parent,
        depth: before.depth,
        name: before.name,
        createdBy: before.createdBy,
        tags: before.tags,
        createTime: before.createTime,
      }
  if (!fixed) return undefined
  return {
    ...fixed,
    id: summary.id,
    root,
    state: summary.state as Row['state'],
    startTime: summary.startTime ?? null,
    endTime: summary.endTime ?? null,
    treeStart: summary.treeStart?.time ?? null,
    treeEnd: summary.treeEnd?.time ?? null,
    children: summary.children,
    subtree: summary.subtree,
    changes: summary.changes,
    logLines: summary.logLines,
    attachments: summary.attachments,
  }
}

/** Whether anything that changes differs. */
export function isSameRow(a: Row, b: Row): boolean {
  return (
    a.state === b.state &&
    a.changes === b.changes &&
    a.logLines === b.logLines &&
    a.attachments === b.attachments &&
    a.treeStart === b.treeStart &&
    a.treeEnd === b.treeEnd &&
    a.subtree.total === b.subtree.total &&
    a.subtree.failed === b.subtree.failed &&
    a.subtree.running === b.subtree.running &&
    a.subtree.successful === b.subtree.successful &&
    a.subtree.waiting === b.subtree.waiting &&
    a.children.pending === b.children.pending &&
    a.children.failed === b.children.failed &&
    a.children.successful === b.children.successful
  )
}
