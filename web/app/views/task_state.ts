import { ApiError, getText } from '../api/client'
import { parseJson } from '../api/json'
import type { Id, Row, Task } from '../api/types'
import { live } from '../live/socket'
import { now } from '../parts/clock'
import { useLoad, useReloadOn, type Loaded } from '../parts/load'

/** A task, and its answer as it was written. */
export interface ReadTask {
  task: Task
  text: string
}

/** Progress and the lease change without the job; the service stores progress each five seconds. */
const EVERY_MS = 3_000

/** The task of a job, or null if it has none. */
export function useTask(id: Id, row: Row | undefined): Loaded<ReadTask | null> {
  const loaded = useLoad(`task ${id}`, async (abort): Promise<ReadTask | null> => {
    try {
      const text = await getText(`jobs/${id}/task`, {}, abort)
      return { task: parseJson(text) as Task, text }
    } catch (error) {
      if (error instanceof ApiError && error.code === 'task_not_found') return null
      throw error
    }
  })
  const isOpen = loaded.value ? loaded.value.task.phase !== 'ended' : false
  const tick = isOpen && live.isLive.value && Math.floor(now.value / EVERY_MS)
  useReloadOn(tick, () => isOpen && loaded.reload(), EVERY_MS)
  useReloadOn(row?.changes, () => loaded.value && loaded.reload(), 500)
  return loaded
}
