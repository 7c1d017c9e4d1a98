import { useEffect, useRef, useState } from 'preact/hooks'
import type { ComponentChildren } from 'preact'
import { now } from '../parts/clock'
import { Icon } from '../parts/icons'
import { Steady } from '../parts/small'
import { age, zoneName } from '../parts/time'
import { live } from '../live/socket'
import { t } from '../texts'
import { language, letters, theme, zone, type Theme } from './prefs'
import { link, view, type View } from './router'
import { isOpen, logout, may, session } from './session'
import { isOutdated } from './version'

interface BarProps {
  openPalette: () => void
  openHelp: () => void
}

/** The line at the top: where one is, how the connection is, and how the page looks. */
export function Bar({ openPalette, openHelp }: BarProps) {
  return (
    <header class="top">
      <a class="brand" href={link('')} aria-label={t.value.home}>
        <Mark />
        <span>jobtracker</span>
      </a>
      <Navigation />
      <span class="grow" />
      <button
        type="button"
        class="search-button"
        onClick={openPalette}
        aria-label={t.value.palette.title}
      >
        <Icon name="search" />
        <span class="hint">{t.value.palette.open}</span>
        <kbd>Ctrl K</kbd>
      </button>
      {isOutdated.value && (
        <button type="button" class="pill" onClick={() => location.reload()}>
          {t.value.outdated}
        </button>
      )}
      <Connection />
      <Menu openHelp={openHelp} />
    </header>
  )
}

/** The sign of the product: a tree of three jobs. */
function Mark() {
  return (
    <svg class="mark" width="22" height="22" viewBox="0 0 32 32" aria-hidden="true">
      <path d="M9 8v10.5a5.5 5.5 0 0 0 5.5 5.5H20M9 14h11" />
      <circle class="one" cx="9" cy="8" r="4" />
      <circle class="two" cx="23" cy="14" r="4" />
      <circle class="three" cx="23" cy="24" r="4" />
    </svg>
  )
}

const ALL: readonly View[] = [
  'trees',
  'schedules',
  'queue',
  'workers',
  'deliveries',
  'uploads',
  'service',
]
/** The list in which what is shown is listed. */
const ABOVE: Partial<Record<View, View>> = {
  job: 'trees',
  schedule: 'schedules',
  upload: 'uploads',
}
const ADMIN: readonly View[] = ['retention', 'tokens', 'audit']

function Navigation() {
  const shown = may('admin') ? [...ALL, ...ADMIN] : ALL
  const current = ABOVE[view.value] ?? view.value
  return (
    <nav class="navigation" aria-label={t.value.pages}>
      {shown.map((name) => (
        <a
          key={name}
          class={ADMIN.includes(name) ? 'of-admins' : undefined}
          href={link(name === 'trees' ? '' : name)}
          aria-current={current === name ? 'page' : undefined}
        >
          <Steady text={t.value.nav[name as keyof typeof t.value.nav]} />
        </a>
      ))}
    </nav>
  )
}

/** How the connection is; pressed, it pauses or goes on. */
function Connection() {
  const status = live.status.value
  const since =
    status === 'old' && live.heard.value ? age(now.value - live.heard.value, t.value.units) : ''
  const isPaused = live.isPaused.value
  const word = `${t.value.live[status]} ${since}`.trim()
  return (
    <button
      type="button"
      class={`connection ${status}`}
      title={`${t.value.liveHint[status]} (.)`}
      aria-label={`${word}: ${isPaused ? t.value.goOn : t.value.pause}`}
      onClick={() => (isPaused ? live.goOn() : live.pause())}
    >
      <span class="dot" />
      <span class="word">{word}</span>
    </button>
  )
}

const THEMES: readonly Theme[] = ['system', 'light', 'dark']

function Menu({ openHelp }: { openHelp: () => void }) {
  const [isShown, setShown] = useState(false)
  const element = useRef<HTMLDivElement>(null)
  useEffect(() => {
    if (!isShown) return
    const outside = (event: Event) => {
      if (!element.current?.contains(event.target as Node)) setShown(false)
    }
    const escape = (event: KeyboardEvent) => event.key === 'Escape' && setShown(false)
    document.addEventListener('pointerdown', outside)
    document.addEventListener('keydown', escape)
    return () => {
      document.removeEventListener('pointerdown', outside)
      document.removeEventListener('keydown', escape)
    }
  }, [isShown])
  return (
    <div class="menu" ref={element}>
      <button
        type="button"
        class="quiet icon-only"
        aria-label={t.value.menu.title}
        aria-expanded={isShown}
        onClick={() => setShown(!isShown)}
      >
        <Icon name="menu" />
      </button>
      {isShown && (
        <div class="menu-panel">
          <div class="menu-pages" onClick={() => setShown(false)}>
            <Navigation />
          </div>
          <Who />
          <MenuBody />
          <button
            type="button"
            class="quiet"
            onClick={() => {
              setShown(false)
              openHelp()
            }}
          >
            {t.value.menu.keys} <kbd>?</kbd>
          </button>
        </div>
      )}
    </div>
  )
}

function Who() {
  const own = session.value
  if (!own) return null
  return (
    <div class="who">
      <Icon name="user" />
      <span>
        <b>{isOpen.value ? t.value.menu.anonymous : own.name}</b>
        <span class="muted"> {t.value.roles[own.role]}</span>
      </span>
      {own.how === 'session' && (
        <button type="button" class="quiet" onClick={() => void logout()}>
          {t.value.menu.logout}
        </button>
      )}
    </div>
  )
}

function MenuBody() {
  return (
    <>
      <Choice name={t.value.menu.theme}>
        {THEMES.map((name) => (
          <button
            key={name}
            type="button"
            aria-pressed={theme.value === name}
            onClick={() => (theme.value = name)}
          >
            {t.value.menu.themes[name]}
          </button>
        ))}
      </Choice>
      <Choice name={t.value.menu.zone}>
        <button
          type="button"
          aria-pressed={zone.value === 'local'}
          onClick={() => (zone.value = 'local')}
        >
          {t.value.local} <span class="muted">{zoneName(now.value, 'local')}</span>
        </button>
        <button
          type="button"
          aria-pressed={zone.value === 'utc'}
          onClick={() => (zone.value = 'utc')}
        >
          UTC
        </button>
      </Choice>
      <Choice name={t.value.menu.language}>
        <button
          type="button"
          lang="en"
          aria-pressed={language.value === 'en'}
          onClick={() => (language.value = 'en')}
        >
          English
        </button>
        <button
          type="button"
          lang="zh"
          aria-pressed={language.value === 'zh'}
          onClick={() => (language.value = 'zh')}
        >
          中文
        </button>
      </Choice>
      <Choice name={t.value.menu.letters}>
        <button
          type="button"
          aria-pressed={letters.value === 'on'}
          onClick={() => (letters.value = 'on')}
        >
          {t.value.menu.on}
        </button>
        <button
          type="button"
          aria-pressed={letters.value === 'off'}
          onClick={() => (letters.value = 'off')}
        >
          {t.value.menu.off}
        </button>
      </Choice>
    </>
  )
}

function Choice({ name, children }: { name: string; children: ComponentChildren }) {
  return (
    <div class="menu-choice">
      <span class="muted">{name}</span>
      <div class="segments" role="group" aria-label={name}>
        {children}
      </div>
    </div>
  )
}
