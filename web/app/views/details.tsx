import type { TabProps } from './job'

export function DetailsView(_: TabProps) {
  return null
}
