import type { components } from './schema'

type Schemas = components['schemas']
export type Id = string
export type State = Exclude<Schemas['State'], 'WaitingForActivation'>
export type Job = Schemas['Job']
export type JobSummary = Schemas['JobSummary']
export type Definition = Schemas['SummaryDefinition']
export type Subtree = Schemas['Subtree']
export type Children = Schemas['Children']
export type Change = Schemas['Change']
export type Blocker = Schemas['Blocker']
export type KeptFailure = Schemas['KeptFailure']
export type Delivery = Schemas['Delivery']
export type LogLine = Schemas['LogLine']
export type Shape = Schemas['Shape']
export type Rest = Schemas['Rest']
export type Timeline = Schemas['Timeline']
export type Snapshot = Schemas['Snapshot']
export type ServerFrame = Schemas['ServerFrame']
export type Subscribe = Schemas['Subscribe']
export type Problem = Schemas['Problem']
export type Session = Schemas['Session']
export type Role = Schemas['Role']
export type Statistics = Schemas['Statistics']
export type JobAction = Schemas['JobAction']
export type JobCheck = Schemas['JobCheck']
export type Attachments = Schemas['Attachments']
export type Token = Schemas['Token']
export type AuditEntry = Schemas['AuditEntry']
export type UploadOutcome = Schemas['UploadOutcome']
export type TreeResult = Schemas['TreeResult']
export type Tested = Schemas['Tested']
export type Overview = Schemas['Overview']
export type Target = Schemas['Target']
export type Rule = Schemas['RetentionRule']
export type NamedRule = Schemas['NamedRetentionRule']
export type Preview = Schemas['RetentionPreview']
export type Schedule = Schemas['Schedule']
export type ScheduleDefinition = Schemas['ScheduleDefinition']
export type Alarm = Partial<Schemas['ScheduleAlarm']>
export type AlarmAction = Schemas['AlarmAction']
export type Routing = Schemas['Routing']
export type ScheduleTrigger = Schemas['ScheduleTrigger']
export type Firing = Schemas['Firing']
export type PlannedTimes = Schemas['PlannedTimes']
export type Triggered = Schemas['Triggered']
export type Worker = Schemas['WorkerView']
export type QueuedTask = Schemas['QueuedTask']
export type QueueCounts = Schemas['QueueCounts']
export type Cancelled = Schemas['CancelledTree']
export type Task = Schemas['TaskView']

export interface Page<Item> {
  items: Item[]
  nextCursor?: string | null
}

/** A job as a row shows it, from a list or from a live snapshot. */
export interface Row {
  id: Id
  root: Id
  parent: Id | null
  depth: number
  name: string
  createdBy: string
  tags: string[]
  createTime: string
  state: State
  startTime: string | null
  endTime: string | null
  treeStart: string | null
  treeEnd: string | null
  children: Children
  subtree: Subtree
  changes: number
  logLines: number
  attachments: number
}

export const STATES: readonly State[] = [
  'Faulted',
  'Running',
  'Warning',
  'WaitingForChildrenToComplete',
  'WaitingToRun',
  'RanToCompletion',
]

export function isFinished(state: string): boolean {
  return state === 'RanToCompletion' || state === 'Faulted'
}

export function childCount(children: Children): number {
  return children.pending + children.successful + children.failed
}
