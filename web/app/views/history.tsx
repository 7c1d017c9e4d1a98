import type { TabProps } from './job'

export function HistoryView(_: TabProps) {
  return null
}
