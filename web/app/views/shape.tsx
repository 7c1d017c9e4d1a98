import type { TabProps } from './job'

export function ShapeView(_: TabProps) {
  return null
}
