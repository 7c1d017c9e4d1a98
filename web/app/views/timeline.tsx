import type { TabProps } from './job'

export function TimelineView(_: TabProps) {
  return null
}
