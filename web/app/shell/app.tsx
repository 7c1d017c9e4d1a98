import { useSignal } from '@preact/signals'
import { needsLogin } from '../api/client'
import { Lazy } from '../parts/lazy'
import { Empty, Failed, Said } from '../parts/small'
import { t } from '../texts'
import { JobView } from '../views/job'
import { TreesView } from '../views/trees'
import { Bar } from './bar'
import { useKeys } from './keys'
import { Login } from './login'
import { link, view, type View } from './router'
import { loadSession, session, sessionError } from './session'

const nothing = {}
const LAZY = {
  schedules: () => import('../views/schedules').then((module) => module.SchedulesView),
  schedule: () => import('../views/schedule').then((module) => module.ScheduleView),
  queue: () => import('../views/queue').then((module) => module.QueueView),
  workers: () => import('../views/workers').then((module) => module.WorkersView),
  deliveries: () => import('../views/deliveries').then((module) => module.DeliveriesView),
  uploads: () => import('../views/uploads').then((module) => module.UploadsView),
  upload: () => import('../views/uploads').then((module) => module.UploadView),
  retention: () => import('../views/retention').then((module) => module.RetentionView),
  tokens: () => import('../views/tokens').then((module) => module.TokensView),
  audit: () => import('../views/audit').then((module) => module.AuditView),
  service: () => import('../views/service').then((module) => module.ServiceView),
}
const palette = () => import('./palette').then((module) => module.Palette)
const help = () => import('./help').then((module) => module.Help)

export function App() {
  const shown = useSignal<'palette' | 'help' | undefined>(undefined)
  useKeys({
    palette: () => (shown.value = 'palette'),
    help: () => (shown.value = 'help'),
  })
  const close = () => (shown.value = undefined)
  const isKnown = session.value !== undefined
  return (
    <>
      <a class="skip" href="#main">
        {t.value.skip}
      </a>
      <Bar openPalette={() => (shown.value = 'palette')} openHelp={() => (shown.value = 'help')} />
      <main id="main" class="fill" tabIndex={-1}>
        {isKnown && <Current view={view.value} />}
        {sessionError.value !== undefined && (
          <Failed error={sessionError.value} retry={() => void loadSession()} />
        )}
      </main>
      {needsLogin.value && <Login />}
      {shown.value === 'palette' && <Lazy load={palette} props={{ close }} />}
      {shown.value === 'help' && <Lazy load={help} props={{ close }} />}
      <Said />
    </>
  )
}

function Current({ view }: { view: View }) {
  if (view === 'trees') return <TreesView />
  if (view === 'job') return <JobView />
  if (view === 'nowhere') {
    return (
      <Empty title={t.value.nowhere}>
        <a href={link('')}>{t.value.toTrees}</a>
      </Empty>
    )
  }
  return <Lazy key={view} load={LAZY[view]} props={nothing} />
}
