import type { TabProps } from './job'

export function WaitingView(_: TabProps) {
  return null
}
