import type { TabProps } from './job'

export function AlertsView(_: TabProps) {
  return null
}
