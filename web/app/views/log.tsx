import type { TabProps } from './job'

export function LogView(_: TabProps) {
  return null
}
